// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The desk's entry. A code in the address is taken out of it before the page is built.

import { createApp } from 'vue';
import '@fontsource-variable/noto-sans-sc/index.css';
import '../look/tokens.css';
import '../ui/ui.css';
import './desk.css';
import './forms.css';
import { leaveNothing } from '../field/leave';
import { PhoneShelf } from '../field/shelf';
import { localeOf, makeI18nOf } from '../i18n';
import { deskEn } from '../i18n/desk.en';
import { deskZh } from '../i18n/desk.zh-CN';
import { takeErrand } from '../session/fragment';
import { SESSION, SessionStore } from '../session/store';
import { DeskApi } from './api';
import DeskPage from './DeskPage.vue';
import { DESK, Desk } from './desk';

const errand = takeErrand();
const locale = localeOf(location.search);
document.documentElement.lang = locale;

const timers = {
  now: () => Date.now(),
  set: (fn: () => void, ms: number) => setTimeout(fn, ms),
  clear: (id: unknown) => clearTimeout(id as number),
};
const session = new SessionStore(timers);
createApp(DeskPage)
  .use(makeI18nOf(locale, { 'zh-CN': deskZh, en: deskEn }))
  .provide(SESSION, session)
  .provide(DESK, new Desk(session, new DeskApi(session.http), timers))
  .mount('#app');
leaveNothing(session, new PhoneShelf());
void session.start(errand);
