// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// What the camera gives, made fit for the server: its kind, its size, its hash. The
// limits are those of docs/ATTACHMENTS.md.

export type FileKind = 'photo' | 'voice' | 'video';

/** What the phone's own apps are asked for. */
export const ACCEPT: Record<FileKind, string> = { photo: 'image/*', voice: 'audio/*', video: 'video/*' };
export const MOST_BYTES: Record<FileKind, number> = { photo: 8 << 20, voice: 10 << 20, video: 50 << 20 };
/** How many of a kind one sender may add to one incident a day. */
export const MOST: Record<FileKind, number> = { photo: 6, voice: 4, video: 2 };
const LONGEST_S: Record<FileKind, number> = { photo: 0, voice: 300, video: 60 };
const TAKEN_PHOTOS = ['image/jpeg', 'image/png'];
const LONGEST_SIDE_PX = 2560;
const JPEG_QUALITY = 0.85;

/** Why a file is not taken: each has its words in the catalogue. */
export type NoFile = 'large' | 'many' | 'long' | 'kind' | 'full' | 'insecure';

export interface ReadyFile {
  kind: FileKind;
  type: string;
  blob: Blob;
  sha256: string;
}

/** Makes a file ready to be kept; what it throws is a NoFile. */
export async function readyFile(kind: FileKind, given: File): Promise<ReadyFile> {
  let blob: Blob = given;
  if (kind === 'photo' && (!TAKEN_PHOTOS.includes(given.type) || given.size > MOST_BYTES.photo)) blob = await smaller(given);
  const type = blob.type.split(';')[0] ?? '';
  if (!type.startsWith(kind === 'photo' ? 'image/' : kind === 'voice' ? 'audio/' : 'video/'))
    throw new Error('kind' satisfies NoFile);
  if (blob.size > MOST_BYTES[kind]) throw new Error('large' satisfies NoFile);
  if (!crypto.subtle) throw new Error('insecure' satisfies NoFile);
  const bytes = await blob.arrayBuffer();
  if (kind !== 'photo' && durationS(new DataView(bytes)) > LONGEST_S[kind] + 1) throw new Error('long' satisfies NoFile);
  const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  // A copy: what the camera app gave may be gone when the page is opened again.
  return { kind, type, blob: new Blob([bytes], { type }), sha256: [...sum].map((b) => b.toString(16).padStart(2, '0')).join('') };
}

/** A photo that the server would not take, drawn anew as a JPEG. */
async function smaller(photo: File): Promise<Blob> {
  let picture: ImageBitmap;
  try {
    picture = await createImageBitmap(photo);
  } catch {
    throw new Error('kind' satisfies NoFile);
  }
  const scale = Math.min(1, LONGEST_SIDE_PX / Math.max(picture.width, picture.height));
  const canvas = document.createElement('canvas');
  canvas.width = Math.round(picture.width * scale);
  canvas.height = Math.round(picture.height * scale);
  canvas.getContext('2d')?.drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  const drawn = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/jpeg', JPEG_QUALITY));
  if (!drawn) throw new Error('kind' satisfies NoFile);
  return drawn;
}

const MVHD = [0x6d, 0x76, 0x68, 0x64];

/**
 * How long an MP4, M4A, 3GP or QuickTime file lasts, by its movie header (ISO/IEC
 * 14496-12, box mvhd); 0 where there is none: the server looks again.
 */
export function durationS(v: DataView): number {
  for (let i = 0; i + 32 <= v.byteLength; i++) {
    if (!MVHD.every((b, k) => v.getUint8(i + k) === b)) continue;
    const wide = v.getUint8(i + 4) === 1;
    const scale = v.getUint32(i + (wide ? 24 : 16));
    if (wide && i + 36 > v.byteLength) return 0;
    const length = wide ? Number(v.getBigUint64(i + 28)) : v.getUint32(i + 20);
    return scale ? length / scale : 0;
  }
  return 0;
}
