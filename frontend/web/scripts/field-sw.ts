// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Builds the field page's service worker: src/field/sw.js with the list of the files
// that the page needs to open, and their hash.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Plugin } from 'vite';

const SOURCE = new URL('../src/field/sw.js', import.meta.url);
/** Files of public/ that the page names. */
const PUBLIC = ['field.webmanifest', 'field-192.png', 'field-512.png'];

export function fieldServiceWorker(): Plugin {
  return {
    name: 'field-service-worker',
    apply: 'build',
    enforce: 'post',
    generateBundle(_, bundle) {
      const html = bundle['field.html'];
      if (html?.type !== 'asset') return this.error('field.html is not built before its service worker');
      const files = new Set<string>();
      const add = (name: string) => {
        const part = bundle[name];
        if (!part || files.has(name)) return;
        files.add(name);
        if (part.type !== 'chunk') return;
        for (const other of part.imports) add(other);
        for (const css of part.viteMetadata?.importedCss ?? []) add(css);
      };
      for (const m of String(html.source).matchAll(/(?:src|href)="\/(assets\/[^"]+)"/g)) add(m[1] ?? '');
      const shell = ['/field', ...PUBLIC.map((f) => `/${f}`), ...[...files].sort().map((f) => `/${f}`)];
      const hash = createHash('sha256').update(String(html.source)).update(shell.join()).update(readFileSync(SOURCE));
      for (const f of PUBLIC) hash.update(readFileSync(new URL(`../public/${f}`, import.meta.url)));
      const source = readFileSync(SOURCE, 'utf8')
        .replace('__VERSION__', hash.digest('hex').slice(0, 12))
        .replace("['__SHELL__']", JSON.stringify(shell));
      this.emitFile({ type: 'asset', fileName: 'field-sw.js', source });
    },
  };
}
