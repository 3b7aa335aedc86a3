// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { EventMessage, GoneMessage, Item } from '../src/wire/message';
import { LiveState } from '../src/wire/state';

interface Golden {
  name: string;
  snapshot: { head: number; items: Item[] };
  messages: (EventMessage | GoneMessage)[];
  want: { head: number; items: Item[] };
}
const golden = JSON.parse(readFileSync(new URL('../testdata/live_state.json', `file://${__filename}`), 'utf8')) as Golden[];

describe('the live state folds as the server does', () => {
  test.each(golden)('$name', (g) => {
    const s = new LiveState();
    s.reset(g.snapshot.head, g.snapshot.items);
    for (const m of g.messages) s.apply(m);
    expect({ head: s.head, items: s.items() }).toEqual(g.want);
  });

  test('a snapshot replaces what was there', () => {
    const s = new LiveState();
    s.reset(5, [{ kind: 'incident', id: '1', ver: 1, seq: 5, data: {} }]);
    s.reset(9, [{ kind: 'incident', id: '2', ver: 1, seq: 9, data: {} }]);
    expect(s.items().map((i) => i.id)).toEqual(['2']);
    expect(s.head).toBe(9);
  });

  test('skip moves forward only', () => {
    const s = new LiveState();
    s.reset(5, []);
    s.skip(8);
    s.skip(3);
    expect(s.head).toBe(8);
  });
});
