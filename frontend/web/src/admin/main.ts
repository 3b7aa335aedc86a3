// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The administration page's entry. A code in the address is taken out of it before
// the page is built.

import { createApp } from 'vue';
import '@fontsource-variable/noto-sans-sc/index.css';
import '../look/light.css';
import '../ui/ui.css';
import './admin.css';
import './grids/grids.css';
import { leaveNothing } from '../field/leave';
import { PhoneShelf } from '../field/shelf';
import { localeOf, makeI18nOf } from '../i18n';
import { adminEn } from '../i18n/admin.en';
import { adminZh } from '../i18n/admin.zh-CN';
import { takeErrand } from '../session/fragment';
import { SESSION, SessionStore } from '../session/store';
import AdminPage from './AdminPage.vue';
import { ADMIN, AdminApi } from './api';

const errand = takeErrand();
const locale = localeOf(location.search);
document.documentElement.lang = locale;

const session = new SessionStore({
  now: () => Date.now(),
  set: (fn, ms) => setTimeout(fn, ms),
  clear: (id) => clearTimeout(id as number),
});
createApp(AdminPage)
  .use(makeI18nOf(locale, { 'zh-CN': adminZh, en: adminEn }))
  .provide(SESSION, session)
  .provide(ADMIN, new AdminApi(session.http))
  .mount('#app');
leaveNothing(session, new PhoneShelf());
void session.start(errand);
