// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The review page's entry. A code in the address is taken out of it before the page is built.

import { createApp } from 'vue';
import '@fontsource-variable/noto-sans-sc/index.css';
import '../look/light.css';
import '../ui/ui.css';
import './review.css';
import './figures/figures.css';
import './bulletin/bulletin.css';
import './notices/notices.css';
import { leaveNothing } from '../field/leave';
import { PhoneShelf } from '../field/shelf';
import { localeOf, makeI18nOf } from '../i18n';
import { reviewEn } from '../i18n/review.en';
import { reviewZh } from '../i18n/review.zh-CN';
import { takeErrand } from '../session/fragment';
import { SESSION, SessionStore } from '../session/store';
import { REVIEW, ReviewApi } from './api';
import { BULLETINS, BulletinApi } from './bulletin/api';
import { FIGURES, FiguresApi } from './figures/api';
import { NOTICES, NoticesApi } from './notices/api';
import ReviewPage from './ReviewPage.vue';
import { viewIn } from './views';

const errand = takeErrand();
const locale = localeOf(location.search);
document.documentElement.lang = locale;

const session = new SessionStore({
  now: () => Date.now(),
  set: (fn, ms) => setTimeout(fn, ms),
  clear: (id) => clearTimeout(id as number),
});
createApp(ReviewPage, { view: viewIn(location.search) })
  .use(makeI18nOf(locale, { 'zh-CN': reviewZh, en: reviewEn }))
  .provide(SESSION, session)
  .provide(REVIEW, new ReviewApi(session.http))
  .provide(FIGURES, new FiguresApi(session.http))
  .provide(BULLETINS, new BulletinApi(session.http))
  .provide(NOTICES, new NoticesApi(session.http))
  .mount('#app');
leaveNothing(session, new PhoneShelf());
void session.start(errand);
