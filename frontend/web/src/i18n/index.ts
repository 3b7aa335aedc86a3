// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// One catalogue for every text on screen: Chinese first, English with `?lang=en`.

import { createI18n } from 'vue-i18n';
import { en } from './en';
import { type Catalogue, zhCN } from './zh-CN';

export type Locale = 'zh-CN' | 'en';

export function localeOf(search: string): Locale {
  return new URLSearchParams(search).get('lang') === 'en' ? 'en' : 'zh-CN';
}

export function makeI18n(locale: Locale) {
  return createI18n<[Catalogue], Locale, false>({
    legacy: false,
    locale,
    fallbackLocale: 'zh-CN',
    messages: { 'zh-CN': zhCN, en },
  });
}
