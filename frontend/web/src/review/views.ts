// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The views of the review, each a tab, and who has them. The server decides again; this only keeps
// tabs away that it would refuse.

export const VIEWS = ['cells', 'figures', 'bulletin', 'notices'] as const;
export type View = (typeof VIEWS)[number];

/** Who comes to the review at all. */
export const READERS: readonly string[] = [
  'county_leader',
  'hall_operator',
  'dispatcher',
  'town_operator',
  'village_head',
  'dept_handler',
];
/** Readers without a view: no department reads bulletins, no leader notices. */
const WITHOUT: Partial<Record<View, string>> = { bulletin: 'dept_handler', notices: 'county_leader' };

export const hasView = (view: View, role: string): boolean => READERS.includes(role) && WITHOUT[view] !== role;

/** Who directs notices to units, and takes them back. */
export const NOTIFIERS: readonly string[] = ['hall_operator', 'dispatcher', 'town_operator', 'village_head'];

/** The view an address names; the hot spots where it names none. */
export const viewIn = (search: string): View => {
  const asked = new URLSearchParams(search).get('view');
  return VIEWS.find((v) => v === asked) ?? 'cells';
};

/** Where a view begins; the page's language stays as `search` has it. More of what is asked stands behind it. */
export function wayTo(view: View, search: string, more: Record<string, string> = {}): string {
  const q = new URLSearchParams(view === 'cells' ? {} : { view });
  const lang = new URLSearchParams(search).get('lang');
  if (lang) q.set('lang', lang);
  for (const [name, value] of Object.entries(more)) q.set(name, value);
  return q.size ? `/review?${q}` : '/review';
}
