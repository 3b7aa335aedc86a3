// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// What the grid worker's page says, English.

import { en } from './en';
import type { FieldCatalogue } from './field.zh-CN';
import { sessionEn } from './session.en';

export const fieldEn: FieldCatalogue = {
  ...sessionEn,
  priority: en.priority,
  field: {
    title: 'Grid worker',
    doorLead: 'The grid worker’s page: accept, arrive, finish, report.',
    notHere: 'You are signed in as “{role}”; this page is for grid workers and department handlers.',
    nav: 'Pages',
    tab: { tasks: 'Tasks', report: 'Report', duty: 'Duty' },
    online: 'connected',
    offline: 'no line, kept on this phone',
    noTasks: 'No task now. The phone vibrates when one comes.',
    state: {
      offered: 'new',
      delivered: 'new',
      seen: 'new',
      accepted: 'accepted',
      arrived: 'arrived',
      declined: 'declined',
      expired: 'expired',
      withdrawn: 'withdrawn',
      finished: 'finished',
    },
    assist: 'assist',
    answerIn: '{s} s to answer',
    overdue: 'time to answer is over',
    waiting: 'kept on this phone, to be sent',
    navigate: 'Show me the way',
    act: {
      accept: 'Accept',
      decline: 'Cannot go',
      arrive: 'I am there',
      finish: 'Done',
      return: 'Give back',
      report: 'Report',
      delivered: 'delivered',
      seen: 'seen',
    },
    reason: { busy: 'something urgent', far: 'too far', notMine: 'not mine', vehicle: 'no vehicle' },
    why: 'Why',
    whatDone: 'What was done',
    toSend: '{n} kept on this phone, to be sent',
    sendNow: 'Send now',
    refused: '“{what}” was not taken: {title}',
    understood: 'Understood',
    reported: 'Reported, number {number}',
    what: 'What is it',
    noCategories: 'Categories have not been read yet: open this page once with a line.',
    titleLabel: 'In one sentence',
    textLabel: 'More',
    where: 'Where',
    fix: 'Located, within about {m} m',
    measuring: 'Locating…',
    noFix: {
      denied: 'No permission to locate. Allow it in the settings, or describe the place.',
      unavailable: 'No fix at the moment. Try in the open, or describe the place.',
      insecure: 'This address is not HTTPS, so the browser does not locate. Describe the place.',
    },
    measure: 'Locate again',
    address: 'Place in words',
    incomplete: 'Choose a category, write a sentence, and locate or describe the place.',
    onDuty: 'On duty',
    offDuty: 'Off duty',
    since: 'since {from}, ends by itself {to}',
    tracking: 'Your place is recorded on duty only; off duty it is not.',
    startShift: 'Start my shift',
    endShift: 'End my shift',
    noShifts: 'No worker belongs to this account: it has no shifts.',
  },
};
