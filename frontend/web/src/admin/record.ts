// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// What an audit record's data show: the fields before and after, or whatever else
// was written, one row a field.

export interface Row {
  field: string;
  before: string;
  after: string;
  changed: boolean;
}

const isMap = (x: unknown): x is Record<string, unknown> => typeof x === 'object' && x !== null && !Array.isArray(x);

export function say(x: unknown): string {
  if (x === undefined || x === null) return '';
  return typeof x === 'string' ? x : JSON.stringify(x);
}

/** Rows of before and after; `plain` when the data tell no change, and stand in `after`. */
export function rowsOf(data: unknown): { plain: boolean; rows: Row[] } {
  if (!isMap(data)) return { plain: true, rows: say(data) ? [{ field: '', before: '', after: say(data), changed: false }] : [] };
  const { before, after, ...rest } = data;
  const plain = before === undefined && after === undefined;
  const rows: Row[] = [];
  if (!plain) {
    const b = isMap(before) ? before : { '': before };
    const a = isMap(after) ? after : { '': after };
    for (const field of [...new Set([...Object.keys(b), ...Object.keys(a)])]) {
      const [x, y] = [say(b[field]), say(a[field])];
      if (x || y) rows.push({ field, before: x, after: y, changed: x !== y });
    }
  }
  for (const [field, x] of Object.entries(rest)) if (say(x)) rows.push({ field, before: '', after: say(x), changed: false });
  return { plain, rows };
}
