// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// A view of the review with a server of its own, for tests.

import { mount } from '@vue/test-utils';
import { makeI18nOf } from '../src/i18n';
import { reviewEn } from '../src/i18n/review.en';
import { reviewZh } from '../src/i18n/review.zh-CN';
import { REVIEW, ReviewApi } from '../src/review/api';
import { BULLETINS, BulletinApi } from '../src/review/bulletin/api';
import { FIGURES, FiguresApi } from '../src/review/figures/api';
import { NOTICES, NoticesApi } from '../src/review/notices/api';
import ReviewPage from '../src/review/ReviewPage.vue';
import type { View } from '../src/review/views';
import { SESSION, SessionStore } from '../src/session/store';
import { FakeTimers } from './helpers';
import { type FakeServer, settle } from './people';

/** The review's page in the document, signed in at this server, when it has read what it begins with. */
export async function openReview(server: FakeServer, view?: View) {
  const store = new SessionStore(new FakeTimers(), server.fetch);
  const page = mount(ReviewPage, {
    attachTo: document.body,
    props: { view },
    global: {
      plugins: [makeI18nOf('zh-CN', { 'zh-CN': reviewZh, en: reviewEn })],
      provide: {
        [SESSION as symbol]: store,
        [REVIEW as symbol]: new ReviewApi(store.http),
        [FIGURES as symbol]: new FiguresApi(store.http),
        [BULLETINS as symbol]: new BulletinApi(store.http),
        [NOTICES as symbol]: new NoticesApi(store.http),
      },
    },
  });
  await store.start(null);
  await settle();
  return page;
}
