// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

import { useI18n } from 'vue-i18n';

/** Says areas given in m², in the unit that people read best: one, or one that becomes another (null: none). */
export function useArea() {
  const { t, n } = useI18n();
  const unitOf = (m2: number) =>
    m2 >= 1e6
      ? ({ key: 'km2', m2: 1e6 } as const)
      : m2 >= 1e4
        ? ({ key: 'ha', m2: 1e4 } as const)
        : ({ key: 'm2', m2: 1 } as const);
  const figure = (x: number) => n(x, { maximumFractionDigits: x < 10 ? 2 : x < 100 ? 1 : 0 });
  const area = (m2: number) => t(`admin.grids.area.${unitOf(m2).key}`, { n: figure(m2 / unitOf(m2).m2) });
  const areas = (before: number | null, after: number | null) => {
    const unit = unitOf(Math.max(before ?? 0, after ?? 0));
    const [a, b] = [before, after].map((x) => (x === null ? '–' : figure(x / unit.m2))) as [string, string];
    return t(`admin.grids.area.${unit.key}`, { n: a === b ? a : t('admin.grids.fromTo', { a, b }) });
  };
  return { area, areas };
}
