// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// A file on its way to the server by tus 1.0 (docs/ATTACHMENTS.md), in parts. Begun again
// by the same name it is the same upload, and the answer says where to go on: so a cut, a
// closed page and a lost answer cost one part at most.

import { Problem } from '../session/problem';
import type { Letter } from './outbox';

/** Small enough for the progress to be seen on a slow line, and for little to be lost with it. */
const PART_BYTES = 256 << 10;
/** How often an upload is begun again because the server's offset was another, or it had expired. */
const TRIES = 3;

/** Sends bytes, or none; the answer's headers. It throws a Problem. */
export type SendBytes = (
  method: 'POST' | 'PATCH',
  path: string,
  headers: Record<string, string>,
  body?: Blob,
) => Promise<Headers>;

export async function sendFile(l: Letter, bytes: Blob, send: SendBytes, progress: (sent: number) => void): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await sendOnce(l, bytes, send, progress);
      return;
    } catch (e) {
      if (!(e instanceof Problem) || (e.status !== 409 && e.status !== 410)) throw e;
      const later = new Problem(0, 'about:blank', e.detail, [], e.waitS);
      if (e.waitS > 0) throw later; // a part that was cut is still held at the other end
      if (tries < TRIES) continue;
      throw e.status === 409 && !(e instanceof PartProblem) ? e : later;
    }
  }
}

/** A part was refused, of an upload that the server has begun: it is there, and will be. */
class PartProblem extends Problem {}

const ofPart = (e: unknown): never => {
  throw e instanceof Problem ? new PartProblem(e.status, e.type, e.detail, e.faults, e.waitS, e.more) : e;
};

async function sendOnce(l: Letter, bytes: Blob, send: SendBytes, progress: (sent: number) => void): Promise<void> {
  const begun = await send('POST', pathOf(l), {
    'Tus-Resumable': '1.0.0',
    'Upload-Length': String(bytes.size),
    'Upload-Metadata': metadata(l),
  });
  const path = begun.get('Location') ?? '';
  let at = Number(begun.get('Upload-Offset') ?? 0);
  progress(at);
  while (at < bytes.size) {
    const part = bytes.slice(at, at + PART_BYTES);
    const answer = await send(
      'PATCH',
      path,
      { 'Tus-Resumable': '1.0.0', 'Upload-Offset': String(at), 'Content-Type': 'application/offset+octet-stream' },
      part,
    ).catch(ofPart);
    const now = Number(answer.get('Upload-Offset'));
    if (!(now > at)) throw new Problem(0, 'about:blank', 'the upload does not move on');
    at = now;
    progress(at);
  }
}

/** The address a letter goes to. */
export const pathOf = (l: Letter): string => l.path.replace('{incident}', l.incident?.id ?? '');

/** Upload-Metadata: pairs of a key and a value in base64. All values are ASCII. */
export function metadata(l: Letter): string {
  const said: Record<string, string> = {
    filetype: l.file?.type ?? '',
    sha256: l.file?.sha256 ?? '',
    client_ref: l.ref,
    captured_at: new Date(l.at).toISOString(),
    ...(l.file?.place && { lon: String(l.file.place.lon), lat: String(l.file.place.lat), crs: 'wgs84' }),
  };
  return Object.entries(said)
    .map(([k, v]) => `${k} ${btoa(v)}`)
    .join(',');
}
