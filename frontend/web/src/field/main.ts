// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The field page's entry. It brings no font: phones have Chinese ones of their own.

import { createApp } from 'vue';
import '../look/light.css';
import '../ui/ui.css';
import './field.css';
import { localeOf, makeI18nOf } from '../i18n';
import { fieldEn } from '../i18n/field.en';
import { fieldZh } from '../i18n/field.zh-CN';
import { takeErrand } from '../session/fragment';
import { SESSION, SessionStore } from '../session/store';
import FieldPage from './FieldPage.vue';
import { FIELD, Field } from './field';
import { PhoneShelf } from './shelf';
import { keepShell } from './shell';

const errand = takeErrand();
const locale = localeOf(location.search);
document.documentElement.lang = locale;

const timers = {
  now: () => Date.now(),
  set: (fn: () => void, ms: number) => setTimeout(fn, ms),
  clear: (id: unknown) => clearTimeout(id as number),
};
const session = new SessionStore(timers);
const field = new Field(session, new PhoneShelf(), timers);
createApp(FieldPage)
  .use(makeI18nOf(locale, { 'zh-CN': fieldZh, en: fieldEn }))
  .provide(SESSION, session)
  .provide(FIELD, field)
  .mount('#app');
void session.start(errand);
keepShell((take) => {
  field.fresher.value = take;
}).catch(() => {}); // off HTTPS there is none: the page goes on with a line
