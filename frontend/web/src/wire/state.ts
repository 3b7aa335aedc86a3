// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The live state of the county as this page knows it: the newest payload of
// every open entity, and the sequence number it is true at. The same fold as
// the server's feed.Apply, held to it by shared golden files (testdata/).

import type { EventMessage, GoneMessage, Item } from './message';

export class LiveState {
  head = 0;
  private readonly byKind = new Map<string, Map<string, Item>>();

  /** Replaces everything by a snapshot that is true at head. */
  reset(head: number, items: Item[]): void {
    this.byKind.clear();
    for (const it of items) this.put(it);
    this.head = head;
  }

  /** Folds in the next event; false, and nothing changes, when it is not the next one. */
  apply(e: EventMessage | GoneMessage): boolean {
    if (e.seq !== this.head + 1) return false;
    this.head = e.seq;
    if (e.type === 'gone') {
      this.byKind.get(e.kind)?.delete(e.id);
    } else if (e.live === 'put') {
      this.put({ kind: e.entity.kind, id: e.entity.id, ver: e.ver, seq: e.seq, data: e.data });
    } else if (e.live === 'end') {
      this.byKind.get(e.entity.kind)?.delete(e.entity.id);
    }
    return true;
  }

  /** Moves over events that concern others. */
  skip(to: number): void {
    if (to > this.head) this.head = to;
  }

  get<T>(kind: string, id: string): Item<T> | undefined {
    return this.byKind.get(kind)?.get(id) as Item<T> | undefined;
  }

  of<T>(kind: string): Item<T>[] {
    return [...(this.byKind.get(kind)?.values() ?? [])] as Item<T>[];
  }

  /** Every entity ordered by kind, then id: the order of the server's snapshot. */
  items(): Item[] {
    const less = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
    return [...this.byKind.values()].flatMap((m) => [...m.values()]).sort((a, b) => less(a.kind, b.kind) || less(a.id, b.id));
  }

  private put(it: Item): void {
    let kind = this.byKind.get(it.kind);
    if (!kind) {
      kind = new Map();
      this.byKind.set(it.kind, kind);
    }
    kind.set(it.id, it);
  }
}
