// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Which sections and acts each administrator has here. The server decides again;
// this only keeps buttons away that it would refuse.

import type { Account, Grant } from './api';

export const SECTIONS = ['accounts', 'grids', 'credentials', 'audit', 'status'] as const;
export type Section = (typeof SECTIONS)[number];

/** What the sections ask of a role. */
export interface Rights {
  sections: readonly Section[];
  /** Make accounts, invite anew. */
  accounts: boolean;
  /** Disable and enable accounts: whoever makes them, and whoever revokes rights. */
  disable: boolean;
  /** Propose and revoke grants. */
  grants: boolean;
  /** Agree to what somebody else proposed. */
  agree: boolean;
  /** Make and revoke tokens and wall links, end sessions. */
  credentials: boolean;
  /** Read everybody's acts, not only one's own. */
  everybody: boolean;
}

const RIGHTS: Record<string, Rights> = {
  system_admin: {
    sections: ['accounts', 'grids', 'audit', 'status'],
    accounts: true,
    disable: true,
    grants: false,
    agree: true,
    credentials: false,
    everybody: false,
  },
  security_admin: {
    sections: ['accounts', 'credentials', 'audit', 'status'],
    accounts: false,
    disable: true,
    grants: true,
    agree: true,
    credentials: true,
    everybody: false,
  },
  auditor: {
    sections: ['audit', 'accounts', 'credentials', 'status'],
    accounts: false,
    disable: false,
    grants: false,
    agree: false,
    credentials: false,
    everybody: true,
  },
};

/** The rights of a role, or null when the page has nothing for it. */
export const rightsOf = (role: string): Rights | null => (Object.hasOwn(RIGHTS, role) ? (RIGHTS[role] as Rights) : null);

/** The page of a role that has none here: the catalogue's key of what to tell it. */
export function pageOf(role: string): 'desk' | 'review' | 'field' | 'wall' | 'other' {
  if (role === 'wall') return 'wall';
  if (role === 'county_leader') return 'review';
  if (role === 'grid_worker' || role === 'dept_handler') return 'field';
  if (['hall_operator', 'dispatcher', 'town_operator', 'village_head'].includes(role)) return 'desk';
  return 'other';
}

/** The section an address names, when the role has it; else the role's first. */
export function sectionIn(hash: string, rights: Rights): Section {
  const name = /^#\/([a-z]+)/.exec(hash)?.[1] as Section;
  return rights.sections.includes(name) ? name : (rights.sections[0] as Section);
}

/** Whether this person's agreement is what a grant waits for: never that of whoever proposed it. */
export function mayAgree(grant: Grant | null, me: { role: string; login: string }): boolean {
  const rights = rightsOf(me.role);
  return Boolean(grant && rights?.agree && grant.needs?.includes(me.role) && !isMine(grant, me.login));
}

export const isMine = (grant: Grant, login: string) => grant.proposed_by === login;

/** Whether the security administrator may make the one first system administrator. */
export function mayMakeFirstSystem(role: string, accounts: readonly Account[]): boolean {
  return (
    role === 'security_admin' && !accounts.some((a) => a.state !== 'disabled' && (isSystem(a.grant) || isSystem(a.proposed)))
  );
}

const isSystem = (g: Grant | null) => g?.role === 'system_admin';

/** Roles that can be granted to a person. */
export const GRANTABLE = [
  'hall_operator',
  'dispatcher',
  'town_operator',
  'village_head',
  'grid_worker',
  'dept_handler',
  'county_leader',
  'auditor',
  'system_admin',
  'security_admin',
] as const;

/** Roles that a machine's token may hold: no administrator's, leader's or auditor's. */
export const FOR_MACHINES = [
  'hall_operator',
  'dispatcher',
  'town_operator',
  'village_head',
  'grid_worker',
  'dept_handler',
  'wall',
] as const;

/** Roles whose grant may hold the flag for sensitive categories. */
export const hasFlag = (role: string) => ['hall_operator', 'dispatcher', 'town_operator'].includes(role);
/** What a wall may be called. */
export const goodWall = (name: string) => /^[A-Za-z0-9_-]{1,40}$/.test(name);
/** Roles that need both a security and a system administrator. */
export const needsTwo = (role: string) => role === 'county_leader' || role === 'auditor';

export type Show = 'all' | 'waiting' | 'bare' | 'disabled';

/** The accounts that fit the choice and hold the searched text in login, badge, role or grid. */
export function sift(accounts: readonly Account[], show: Show, search: string, roleName: (role: string) => string): Account[] {
  const want = search.trim().toLowerCase();
  return accounts.filter((a) => {
    if (show === 'waiting' && !a.proposed) return false;
    if (show === 'bare' && (a.grant || a.state === 'disabled')) return false;
    if (show === 'disabled' && a.state !== 'disabled') return false;
    if (!want) return true;
    const words = [a.login, a.badge];
    for (const g of [a.grant, a.proposed]) if (g) words.push(g.role, roleName(g.role), g.grid ?? '');
    return words.some((x) => x?.toLowerCase().includes(want));
  });
}
