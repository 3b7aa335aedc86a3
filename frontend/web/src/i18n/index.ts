// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// One catalogue a page for every text on screen: Chinese first, English with `?lang=en`.

import { createI18n } from 'vue-i18n';
import { en } from './en';
import { zhCN } from './zh-CN';

export type Locale = 'zh-CN' | 'en';

export function localeOf(search: string): Locale {
  return new URLSearchParams(search).get('lang') === 'en' ? 'en' : 'zh-CN';
}

/** The texts of a page that has a catalogue of its own. */
export function makeI18nOf<C extends object>(locale: Locale, messages: Record<Locale, C>) {
  return createI18n<[C], Locale, false>({ legacy: false, locale, fallbackLocale: 'zh-CN', messages } as never);
}

/** The wall's texts. */
export const makeI18n = (locale: Locale) => makeI18nOf(locale, { 'zh-CN': zhCN, en });
