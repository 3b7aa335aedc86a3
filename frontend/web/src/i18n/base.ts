// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// What is written on the map of every page about the base map.

import type { Locale } from '.';

export const BASE_WORDS: Record<Locale, { away: string; approval: string }> = {
  'zh-CN': { away: '底图连不上，显示的是最近保存的图块', approval: '审图号：' },
  en: { away: 'Base map not reachable: the last kept tiles are shown', approval: 'Approval no. ' },
};
