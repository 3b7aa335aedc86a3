// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// A report while it is being written, and the letters that are made of it.

import type { FileKind, ReadyFile } from './files';
import type { Letter } from './outbox';
import { ageOf } from './place';

/** A file of a draft; its bytes lie on the shelf by its ref. */
export interface DraftFile {
  ref: string;
  kind: FileKind;
  type: string;
  size: number;
  sha256: string;
  /** When it was taken, in unix ms: by the server's clock, as far as the phone knew it. */
  at: number;
  place?: { lon: number; lat: number };
}

/** Where it is: by the phone, or by a finger on the map. WGS-84. */
export interface DraftPlace {
  lon: number;
  lat: number;
  /** Metres; 0 for a place that was pointed at. */
  accuracyM: number;
  /** When it was measured, in unix ms; not of a place that was pointed at. */
  at?: number;
}

const PLACE_MS = 2 * 60_000;

/** A place measured so long ago that its writer may have gone elsewhere since; a finger's word stands. */
export const outOfDate = (p: DraftPlace, now: number): boolean => p.accuracyM > 0 && ageOf(p.at ?? 0, now) > PLACE_MS;

/** The place that a report written now may have. */
export const placeNow = (d: Draft, now: number): DraftPlace | null => (d.place && !outOfDate(d.place, now) ? d.place : null);

export interface Draft {
  category: string;
  title: string;
  text: string;
  address: string;
  place: DraftPlace | null;
  files: DraftFile[];
  /** Resolved on the spot, and how. */
  done: boolean;
  doneHow: string;
}

export const emptyDraft = (): Draft => ({
  category: '',
  title: '',
  text: '',
  address: '',
  place: null,
  files: [],
  done: false,
  doneHow: '',
});

/** Something has been written that would be missed. */
export const begun = (d: Draft): boolean =>
  [d.title, d.text, d.address, d.doneHow].some((x) => x.trim()) || d.files.length > 0 || d.place?.accuracyM === 0;

export interface Category {
  code: string;
  name: string;
  top: string;
  top_name: string;
  priority: number;
  /** 即报即办: whoever reports one may resolve it there and then; with evidence, where it says so. */
  on_the_spot: boolean;
  evidence: boolean;
}

export type Missing = 'category' | 'place' | 'how' | 'evidence';

/** What a draft lacks before it can be sent. An old place is none. */
export function missing(d: Draft, c: Category | undefined, now: number): Missing[] {
  const out: Missing[] = [];
  if (!c) out.push('category');
  if (!placeNow(d, now) && !d.address.trim()) out.push('place');
  if (d.done && c?.on_the_spot) {
    if (!d.doneHow.trim()) out.push('how');
    if (c.evidence && !d.files.length) out.push('evidence');
  }
  return out;
}

export const draftFile = (ref: string, f: ReadyFile, at: number, fix: { lon: number; lat: number } | null): DraftFile => ({
  ref,
  kind: f.kind,
  type: f.type,
  size: f.blob.size,
  sha256: f.sha256,
  at,
  ...(fix && { place: { lon: fix.lon, lat: fix.lat } }),
});

/**
 * The letters of a report: itself, its files, and, once they are there, that it is resolved.
 * now is the phone's time, ahead how far the server's is ahead of it, in ms.
 */
export function lettersOf(d: Draft, c: Category, login: string, now: number, ref: () => string, ahead = 0): Letter[] {
  const at = now + ahead;
  const title = d.title.trim() || c.name;
  const place = placeNow(d, now);
  const report: Letter = {
    ref: ref(),
    login,
    at,
    path: '/api/v1/incidents',
    body: {
      category: c.code,
      title,
      source: 'field',
      reported_at: new Date(at).toISOString(),
      ...(d.text.trim() && { text: d.text.trim() }),
      ...(d.address.trim() && { address: d.address.trim() }),
      ...(place && { location: { lon: place.lon, lat: place.lat, crs: 'wgs84' } }),
    },
    headers: {},
    about: { kind: 'report', title },
  };
  report.headers = { 'Idempotency-Key': report.ref };
  const files = d.files.map((f) => ({ ...fileLetter(f, login, title), report: report.ref }));
  if (!d.done || !c.on_the_spot) return [report, ...files];
  const key = ref();
  const resolve: Letter = {
    ref: key,
    login,
    at,
    path: '/api/v1/incidents/{incident}/actions',
    body: { action: 'resolve', reason: d.doneHow.trim(), at: new Date(at).toISOString() },
    headers: { 'Idempotency-Key': key },
    about: { kind: 'resolve', title },
    report: report.ref,
    after: files.map((f) => f.ref),
  };
  return [report, ...files, resolve];
}

/** The letter of a file: of a report's incident, or, with an address, of one that is there. */
export function fileLetter(f: DraftFile, login: string, title: string, incident = '{incident}'): Letter {
  return {
    ref: f.ref,
    login,
    at: f.at,
    path: `/api/v1/incidents/${incident}/attachments`,
    body: {},
    headers: {},
    about: { kind: f.kind, title, ...(incident !== '{incident}' && { incident }) },
    file: { type: f.type, size: f.size, sha256: f.sha256, ...(f.place && { place: f.place }) },
  };
}

/** The draft that a refused report was made of, to be mended. */
export function draftOf(report: Letter, chain: Letter[]): Draft {
  const b = report.body as {
    category: string;
    title: string;
    text?: string;
    address?: string;
    location?: { lon: number; lat: number };
  };
  const resolve = chain.find((l) => l.about.kind === 'resolve');
  return {
    category: b.category,
    title: b.title,
    text: b.text ?? '',
    address: b.address ?? '',
    place: b.location ? { lon: b.location.lon, lat: b.location.lat, accuracyM: 0 } : null,
    files: chain.flatMap((l) =>
      l.file
        ? [
            {
              ref: l.ref,
              kind: l.about.kind as FileKind,
              at: l.at,
              type: l.file.type,
              size: l.file.size,
              sha256: l.file.sha256,
              ...(l.file.place && { place: l.file.place }),
            },
          ]
        : [],
    ),
    done: !!resolve,
    doneHow: String(resolve?.body.reason ?? ''),
  };
}

/** The categories a worker meets most: the own ones of late first, then what is resolved on the spot, one of each kind first. */
export function frequent(all: readonly Category[], recent: readonly string[], most: number): Category[] {
  const byCode = new Map(all.map((c) => [c.code, c]));
  const out = recent.flatMap((code) => byCode.get(code) ?? []);
  const spot = all.filter((c) => c.on_the_spot);
  const firsts = [...new Map([...(spot.length ? spot : all)].reverse().map((c) => [c.top, c])).values()].reverse();
  for (const c of [...firsts, ...spot, ...all]) if (!out.includes(c)) out.push(c);
  return out.slice(0, most);
}

/** The categories whose name, kind or code holds every word of a search. */
export function search(all: readonly Category[], text: string): Category[] {
  const words = text.trim().toLowerCase().split(/\s+/);
  return all.filter((c) => words.every((w) => `${c.name} ${c.top_name} ${c.code}`.toLowerCase().includes(w)));
}
