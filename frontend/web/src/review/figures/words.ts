// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The words that figures, and how they changed, are told in.

import { useI18n } from 'vue-i18n';
import { when } from '../../ui/when';
import type { Figure } from './api';
import { change } from './told';

/** A period by its first and its last day. */
export function useDays() {
  const { t } = useI18n();
  return (f: { from: string; to: string }) =>
    t('figures.days2', {
      from: when(f.from).slice(0, 10),
      to: when(new Date(Date.parse(f.to) - 1).toISOString()).slice(0, 10),
    });
}

/** How a figure changed; a dash where one of the two is not there. */
export function useChange() {
  const { t } = useI18n();
  return (now: Figure | undefined, then: Figure | undefined): string => {
    const c = now && then && change(now, then);
    if (!c) return '–';
    const by = c.by.toFixed(c.as === 'plain' ? 2 : 1);
    return t(`figures.change.${c.as}`, { by: c.by > 0 ? `+${by}` : by });
  };
}
