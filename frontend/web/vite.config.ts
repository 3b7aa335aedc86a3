// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Builds the pages into ../dist, beside the committed stub index.html, which
// is never overwritten: scripts/clean.mjs removes only what a build has made.

import { fileURLToPath } from 'node:url';
import vue from '@vitejs/plugin-vue';
import { defineConfig } from 'vitest/config';
import { fieldServiceWorker } from './scripts/field-sw.ts';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  plugins: [vue(), fieldServiceWorker()],
  define: {
    __VUE_OPTIONS_API__: 'false',
    __VUE_PROD_DEVTOOLS__: 'false',
    __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: 'false',
    __VUE_I18N_FULL_INSTALL__: 'false',
    __VUE_I18N_LEGACY_API__: 'false',
    __INTLIFY_PROD_DEVTOOLS__: 'false',
    __INTLIFY_DROP_MESSAGE_COMPILER__: 'false',
  },
  build: {
    outDir: here('../dist'),
    emptyOutDir: false,
    assetsInlineLimit: 0, // a strict CSP blocks data: URIs
    modulePreload: { polyfill: false },
    target: 'es2022',
    chunkSizeWarningLimit: 1600,
    rollupOptions: { input: Object.fromEntries(['wall', 'desk', 'review', 'field', 'admin'].map((p) => [p, here(`${p}.html`)])) },
  },
  worker: { format: 'es' },
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000, // against waiting for ever: a busy machine takes more than the usual 5 s for axe
    hookTimeout: 60_000,
  },
});
