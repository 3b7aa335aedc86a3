// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The phone's own store: the outbox's letters and the files they bring, places that
// were measured, and the answers that are shown while there is no line.

import type { Letter, Shelf } from './outbox';
import type { FixShelf, KeptFix } from './tracker';

const NAME = 'onemap-field';
const VERSION = 2;

/** A photo, a recording or a film, from the camera until the server has it. */
export interface KeptFile {
  ref: string;
  login: string;
  blob: Blob;
}

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

/** Every key of one person begins so. */
const ofLogin = (login: string) => IDBKeyRange.bound([login], [login, []]);

/** Deletes what is to go of a store. */
function drop(store: IDBObjectStore, goes: (x: { login: string; ref: string }) => boolean): void {
  const r = store.openCursor();
  r.onsuccess = () => {
    const c = r.result;
    if (!c) return;
    if (goes(c.value)) c.delete();
    c.continue();
  };
}

export class PhoneShelf implements Shelf, FixShelf {
  private db: Promise<IDBDatabase> | null = null;

  all(): Promise<Letter[]> {
    return this.read<Letter[]>('letters', (s) => s.getAll());
  }
  /** All of them or none. */
  put(...letters: Letter[]): Promise<void> {
    return this.write(['letters'], (s) => {
      for (const l of letters) s('letters').put(structuredClone(l));
    });
  }
  /** With the file it brought. */
  remove(ref: string): Promise<void> {
    return this.write(['letters', 'files'], (s) => {
      s('letters').delete(ref);
      s('files').delete(ref);
    });
  }

  file(ref: string): Promise<KeptFile | undefined> {
    return this.read('files', (s) => s.get(ref));
  }
  putFile(f: KeptFile): Promise<void> {
    return this.write(['files'], (s) => s('files').put(f));
  }
  removeFile(ref: string): Promise<void> {
    return this.write(['files'], (s) => s('files').delete(ref));
  }

  putFix(f: KeptFix): Promise<void> {
    return this.write(['fixes'], (s) => s('fixes').put(f));
  }
  fixes(login: string, most: number): Promise<KeptFix[]> {
    return this.read('fixes', (s) => s.getAll(ofLogin(login), most));
  }
  removeFixes(gone: KeptFix[]): Promise<void> {
    return this.write(['fixes'], (s) => {
      for (const f of gone) s('fixes').delete([f.login, f.at]);
    });
  }

  /** An answer kept for later, by whose it is and what it says. */
  kept<T>(key: string): Promise<T | undefined> {
    return this.read('kept', (s) => s.get(key));
  }
  keep(key: string, value: unknown): Promise<void> {
    return this.write(['kept'], (s) => s('kept').put(value, key));
  }
  forget(...keys: string[]): Promise<void> {
    return this.write(['kept'], (s) => {
      for (const k of keys) s('kept').delete(k);
    });
  }

  /** Takes everything of one person away: letters, files, places, and what is kept by a key that ends with their name. */
  async wipe(login: string): Promise<void> {
    const me = await this.kept<{ login: string }>('me');
    await this.write(['letters', 'files', 'fixes', 'kept'], (s) => {
      for (const name of ['letters', 'files']) drop(s(name), (x) => x.login === login);
      s('fixes').delete(ofLogin(login));
      for (const what of ['offers', 'visits', 'shift', 'draft', 'recent']) s('kept').delete(`${what} ${login}`);
      if (me?.login === login) s('kept').delete('me');
    });
  }

  /** Takes away the files of one person that no letter and no draft names any more. */
  tidyFiles(login: string, wanted: ReadonlySet<string>): Promise<void> {
    return this.write(['files'], (s) => drop(s('files'), (x) => x.login === login && !wanted.has(x.ref)));
  }

  private async read<T>(store: string, ask: (s: IDBObjectStore) => IDBRequest): Promise<T> {
    const t = (await this.open()).transaction(store);
    return done<T>(ask(t.objectStore(store)));
  }

  private async write(stores: string[], change: (s: (name: string) => IDBObjectStore) => unknown): Promise<void> {
    const t = (await this.open()).transaction(stores, 'readwrite', { durability: 'strict' });
    change((name) => t.objectStore(name));
    await settled(t);
  }

  private open(): Promise<IDBDatabase> {
    if (!this.db) {
      const r = indexedDB.open(NAME, VERSION);
      r.onupgradeneeded = (e) => {
        if (e.oldVersion < 1) {
          r.result.createObjectStore('letters', { keyPath: 'ref' });
          r.result.createObjectStore('kept');
        }
        r.result.createObjectStore('files', { keyPath: 'ref' });
        r.result.createObjectStore('fixes', { keyPath: ['login', 'at'] });
      };
      this.db = done(r).then((db) => {
        const over = () => {
          this.db = null;
        };
        db.onclose = over; // the server clears the store at a sign-out
        db.onversionchange = () => {
          db.close(); // a newer page in another tab
          over();
        };
        return db;
      });
    }
    return this.db;
  }
}
