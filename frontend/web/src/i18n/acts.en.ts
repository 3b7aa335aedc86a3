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
    unsigned: 'Not signed for in time',
    remind: 'Reminded',
    late: 'Late',
    supervise: 'Supervised',
    reply: 'Answered',
    leader: 'Leader told',
    review: 'Due for review',
    recalculate: 'Limit counted anew',
    note: 'Note written',
    request: 'Request made',
    decision: 'Request decided',
    extend: 'Limit extended',
    instruction: 'Instruction given',
    session: 'Joint session called',
    session_confirmed: 'Joint session confirmed',
    assist: 'Department assists',
    release: 'Assistant released',
    call_back: 'Called back',
    attach: 'Attachment added',
    detach: 'Attachment removed',
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
  offer: {
    made: 'Offer made',
    changed: 'Offer changed',
    ended: 'Offer ended',
  },
  rules: {
    advice: 'Rules of advice changed',
    offers: 'Rules of offers changed',
  },
  calendar: {
    changed: 'Calendar and limits changed',
  },
  steps: {
    choose: 'Step names chosen',
  },
  duty: {
    name: 'Duty officer named',
    end: 'Duty ended',
  },
  department: {
    duty: 'Department duty set',
  },
  liaison: {
    name: 'Liaison named',
    end: 'Liaison ended',
  },
  bulletin: {
    make: 'Weekly bulletin made',
  },
  handover: {
    make: 'Desk handed over',
    accept: 'Hand-over accepted',
  },
  shift: {
    start: 'Shift begun',
    end: 'Shift ended',
  },
  worker: {
    deactivate: 'Worker removed',
    activate: 'Worker taken back',
  },
  contact: {
    reveal: 'Contact revealed',
  },
  contacts: {
    import: 'Contacts imported',
  },
  households: {
    import: 'Households imported',
  },
  skills: {
    import: 'Skills imported',
  },
  rollcall: {
    call: 'Roll called',
  },
  message: {
    send: 'Message sent',
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
