// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// What a page says stands in the catalogues, in each language: no template says it itself.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const SRC = join(import.meta.dirname, '../src');
const CHINESE = /[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]+/g;

/** The Chinese in the template of a component, without comments. */
const said = (text: string) =>
  text
    .slice(text.indexOf('<template>'))
    .replaceAll(/<!--[\s\S]*?-->/g, '')
    .match(CHINESE) ?? [];

test('templates have no Chinese of their own, punctuation included', () => {
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((f) => f.endsWith('.vue'));
  expect(files.length).toBeGreaterThan(50);
  const found = files.flatMap((f) => said(readFileSync(join(SRC, f), 'utf8')).map((words) => `${f}: ${words}`));
  expect(found).toEqual([]);
  expect(said('<script>const x = "一"</script><template><p>甲：</p></template>')).toEqual(['甲：']);
});
