// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

import { useI18n } from 'vue-i18n';
import type { Notice } from './api';

/** Names the unit of a notice: the department, or the desk of a grid; and says whether it is the reader's own. */
export function useUnit(): (n: Notice) => string {
  const { t } = useI18n();
  return (n) => {
    const unit = n.department || t('notices.desk', { name: n.unit_name || n.unit_grid || '' });
    return n.own ? t('notices.ownUnit', { unit }) : unit;
  };
}
