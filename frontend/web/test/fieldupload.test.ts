// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

import { describe, expect, test } from 'vitest';
import { durationS } from '../src/field/files';
import { later } from '../src/field/outbox';
import { metadata, type SendBytes, sendFile } from '../src/field/upload';
import { Problem } from '../src/session/problem';
import { letter } from './letters';

describe('a file on its way', () => {
  const BYTES = new Uint8Array(600_000).map((_, i) => i % 251);
  const photo = letter('photo', {
    path: '/api/v1/incidents/12/attachments',
    file: { type: 'image/jpeg', size: BYTES.length, sha256: 'ab' },
  });

  /** A tus server that keeps what came, also of a part whose answer is lost. */
  function tus() {
    const s = { have: new Uint8Array(0), begun: 0, cutAfter: Number.POSITIVE_INFINITY, begins: (): Problem | null => null };
    const send: SendBytes = async (method, path, headers, body) => {
      if (method === 'POST') {
        s.begun++;
        const no = s.begins();
        if (no) throw no;
        expect(headers['Upload-Length']).toBe(String(BYTES.length));
        return new Headers({ Location: '/up/1', 'Upload-Offset': String(s.have.length) });
      }
      expect(path).toBe('/up/1');
      if (Number(headers['Upload-Offset']) !== s.have.length) throw new Problem(409, '', 'offset');
      const part = new Uint8Array(await new Response(body as Blob).arrayBuffer());
      const fits = part.slice(0, s.cutAfter - s.have.length);
      s.have = new Uint8Array(Buffer.concat([s.have, fits]));
      if (fits.length < part.length) throw new Problem(0, '', 'cut');
      return new Headers({ 'Upload-Offset': String(s.have.length) });
    };
    return { s, send };
  }

  test('comes whole, and says how far it is', async () => {
    const { s, send } = tus();
    const told: number[] = [];
    await sendFile(photo, new Blob([BYTES]), send, (n) => told.push(n));
    expect(Buffer.compare(s.have, BYTES)).toBe(0);
    expect(told).toEqual([0, 262_144, 524_288, 600_000]);
  });

  test('goes on after a cut where the server says', async () => {
    const { s, send } = tus();
    s.cutAfter = 300_001;
    await expect(sendFile(photo, new Blob([BYTES]), send, () => {})).rejects.toMatchObject({ status: 0 });
    expect(s.have.length).toBe(300_001);
    s.cutAfter = Number.POSITIVE_INFINITY;
    const told: number[] = [];
    await sendFile(photo, new Blob([BYTES]), send, (n) => told.push(n));
    expect(told[0]).toBe(300_001);
    expect(Buffer.compare(s.have, BYTES)).toBe(0);
  });

  test('an upload that has expired is begun anew, and not for ever', async () => {
    const { s, send } = tus();
    s.begins = () => (s.begun < 2 ? new Problem(410, '', 'expired') : null);
    await sendFile(photo, new Blob([BYTES]), send, () => {});
    expect(Buffer.compare(s.have, BYTES)).toBe(0);
    s.begins = () => new Problem(410, '', 'expired');
    await expect(sendFile(photo, new Blob([BYTES]), send, () => {})).rejects.toMatchObject({ status: 0 });
    s.begins = () => new Problem(415, '', 'HEIC');
    await expect(sendFile(photo, new Blob([BYTES]), send, () => {})).rejects.toMatchObject({ status: 415 });
  });

  test('a part that was cut and is still held goes on as soon as the server says, and is never refused', async () => {
    const { send } = tus();
    const parts: Problem[] = [new Problem(409, '', 'busy', [], 2)];
    let begun = 0;
    const busy: SendBytes = async (method, ...rest) => {
      if (method === 'POST') begun++;
      const no = method === 'PATCH' ? parts[0] : undefined;
      if (no) throw no;
      return send(method, ...rest);
    };
    const sending = () => sendFile(photo, new Blob([BYTES]), busy, () => {}).catch((e: Problem) => e);
    const said = (await sending()) as Problem;
    expect([later(said), said.waitS, begun]).toEqual([true, 2, 1]); // not at once again
    parts[0] = new Problem(409, '', 'offset');
    expect(later((await sending()) as Problem)).toBe(true);
    parts.pop();
    expect(await sending()).toBeUndefined();
    const { s, send: closed } = tus();
    s.begins = () => new Problem(409, '', 'archived');
    await expect(sendFile(photo, new Blob([BYTES]), closed, () => {})).rejects.toMatchObject({ status: 409 });
  });

  test('is told by kind, hash, name, time and place', () => {
    const said = metadata({
      ...photo,
      at: 0,
      file: { type: 'image/jpeg', size: 3, sha256: 'ab', place: { lon: 107.5, lat: 38.2 } },
    });
    const pairs = said.split(',').map((p) => p.split(' ') as [string, string]);
    expect(Object.fromEntries(pairs.map(([k, v]) => [k, atob(v)]))).toEqual({
      filetype: 'image/jpeg',
      sha256: 'ab',
      client_ref: 'photo',
      captured_at: '1970-01-01T00:00:00.000Z',
      lon: '107.5',
      lat: '38.2',
      crs: 'wgs84',
    });
  });

  test('a film says in its head how long it lasts', () => {
    const film = (version: number) => {
      const v = new DataView(new ArrayBuffer(64));
      for (const [k, b] of [0x6d, 0x76, 0x68, 0x64].entries()) v.setUint8(9 + k, b);
      v.setUint8(13, version);
      v.setUint32(9 + (version ? 24 : 16), 600);
      if (version) v.setBigUint64(9 + 28, 37_200n);
      else v.setUint32(9 + 20, 37_200);
      return v;
    };
    expect(durationS(film(0))).toBe(62);
    expect(durationS(film(1))).toBe(62);
    expect(durationS(new DataView(new ArrayBuffer(64)))).toBe(0);
  });
});
