// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The wall's entry.

import { createApp } from 'vue';
import '@fontsource-variable/noto-sans-sc/index.css';
import '../look/tokens.css';
import './wall.css';
import { localeOf, makeI18n } from '../i18n';
import { HALL, Hall } from './hall';
import WallPage from './WallPage.vue';

const locale = localeOf(location.search);
document.documentElement.lang = locale;

const hall = new Hall();
createApp(WallPage).use(makeI18n(locale)).provide(HALL, hall).mount('#app');
void hall.start();
