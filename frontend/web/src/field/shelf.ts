// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The phone's own store: the outbox's letters, and the answers that are shown while
// there is no line.

import type { Letter, Shelf } from './outbox';

const NAME = 'onemap-field';
const VERSION = 1;

function done<T>(r: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    r.onsuccess = () => resolve(r.result);
    r.onerror = () => reject(r.error);
  });
}

/** Done when the change is on the disk, not when it was asked for. */
function settled(t: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    t.oncomplete = () => resolve();
    t.onabort = () => reject(t.error);
  });
}

export class PhoneShelf implements Shelf {
  private db: Promise<IDBDatabase> | null = null;

  async all(): Promise<Letter[]> {
    const t = (await this.open()).transaction('letters');
    return done<Letter[]>(t.objectStore('letters').getAll());
  }
  put(l: Letter): Promise<void> {
    return this.write('letters', (s) => s.put(structuredClone(l)));
  }
  remove(ref: string): Promise<void> {
    return this.write('letters', (s) => s.delete(ref));
  }

  /** An answer kept for later, by whose it is and what it says. */
  async kept<T>(key: string): Promise<T | undefined> {
    const t = (await this.open()).transaction('kept');
    return done<T | undefined>(t.objectStore('kept').get(key));
  }
  keep(key: string, value: unknown): Promise<void> {
    return this.write('kept', (s) => s.put(value, key));
  }

  private async write(store: string, change: (s: IDBObjectStore) => unknown): Promise<void> {
    const t = (await this.open()).transaction(store, 'readwrite', { durability: 'strict' });
    change(t.objectStore(store));
    await settled(t);
  }

  private open(): Promise<IDBDatabase> {
    if (!this.db) {
      const r = indexedDB.open(NAME, VERSION);
      r.onupgradeneeded = () => {
        r.result.createObjectStore('letters', { keyPath: 'ref' });
        r.result.createObjectStore('kept');
      };
      this.db = done(r);
    }
    return this.db;
  }
}
