// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

import { useI18n } from 'vue-i18n';

/** Says an area given in m² in the unit that people read best. */
export function useArea(): (m2: number) => string {
  const { t, n } = useI18n();
  return (m2) => {
    const [unit, value] = m2 >= 1e6 ? ['km2', m2 / 1e6] : m2 >= 1e4 ? ['ha', m2 / 1e4] : ['m2', m2];
    return t(`admin.grids.${unit}`, { n: n(value, { maximumFractionDigits: value < 10 ? 2 : value < 100 ? 1 : 0 }) });
  };
}
