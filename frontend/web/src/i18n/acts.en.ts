// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// What the acts of the audit log are called, by their codes: the part before the dot,
// then the part after it. A test holds the list against the program's source.
import type { actsZh } from './acts.zh-CN';

export const actsEn: typeof actsZh = {
  account: {
    create: 'Account made',
    invite: 'Invitation sent',
    redeem: 'Invitation taken',
    password: 'Password changed',
    pin: 'PIN set',
    disable: 'Account disabled',
    enable: 'Account enabled',
  },
  session: {
    open: 'Signed in',
    failed: 'Sign-in failed',
    close: 'Signed out',
    lock: 'Locked',
    unlock: 'Unlocked',
    revoke: 'Session revoked',
  },
  secret: {
    first: 'First secret made',
    revoke: 'First secret revoked',
  },
  invite: {
    revoke: 'Invitation revoked',
  },
  token: {
    create: 'Token made',
    revoke: 'Token revoked',
  },
  wall: {
    link: 'Wall link made',
    revoke: 'Wall revoked',
  },
  grant: {
    propose: 'Grant proposed',
    approve: 'Grant approved',
    revoke: 'Grant revoked',
  },
  reporter: {
    reveal: 'Reporter revealed',
  },
  track: {
    read: 'Track read',
  },
  camera: {
    open: 'Camera opened',
  },
  export: {
    rows: 'Rows exported',
    counts: 'Counts exported',
  },
  incident: {
    report: 'Incident reported',
    accept: 'Accepted',
    refuse: 'Refused',
    route: 'Routed',
    acknowledge: 'Acknowledged',
    arrive: 'Arrived',
    resolve: 'Resolved',
    verify: 'Verified',
    rework: 'Sent back',
    close: 'Closed',
    return: 'Returned',
    transfer: 'Transferred',
    resume: 'Resumed',
    dispatch: 'Dispatched',
    withdraw: 'Offers withdrawn',
    archive: 'Filed',
    reassign: 'Reassigned',
    escalate: 'Escalated',
    delegate: 'Delegated',
    suspend: 'Suspended',
    merge: 'Merged',
    void: 'Voided',
    reopen: 'Reopened',
    correct: 'Corrected',
    hand_over: 'Handed over',
    regrid: 'In other grids',
  },
  incidents: {
    import: 'Past incidents imported',
  },
  grids: {
    enact: 'Grids enacted',
    plan: 'Enactment planned',
    plan_cancel: 'Plan cancelled',
    plan_failed: 'Plan failed',
    settle: 'Moved into grids in force',
  },
  overlays: {
    import: 'Overlay imported',
  },
  layer: {
    import: 'Layer imported',
    retire: 'Features taken out',
    settings: 'Layer settings changed',
  },
  cameras: {
    import: 'Cameras imported',
    retire: 'Cameras taken out',
  },
  places: {
    import: 'Places imported',
    retire: 'Places taken out',
  },
  people: {
    import: 'Roster imported',
  },
  roads: {
    import: 'Roads imported',
  },
  whistle: {
    made: 'Whistle blown',
    reported: 'Reported in',
    said: 'Said to be there',
    arrived: 'Arrived by position',
    late: 'Late',
    ended: 'Whistle ended',
  },
  notice: {
    made: 'Notice made',
    read: 'Notice read',
    replied: 'Notice answered',
    reminded: 'Reminded to read',
    overdue: 'Overdue, supervised',
    withdrawn: 'Notice withdrawn',
  },
  patrol: {
    made: 'Patrol made',
    changed: 'Patrol changed',
    ended: 'Patrol ended',
    opened: 'Visits of a period opened',
    missed: 'Visits missed',
  },
  visit: {
    seen: 'Visit shown by fixes',
    said: 'Visit said by word',
  },
  backup: {
    create: 'Backup made',
    restore: 'Backup restored',
  },
};
