// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// What the weekly bulletins say, English.

import type { bulletinZh } from './bulletin.zh-CN';

export const bulletinEn: typeof bulletinZh = {
  title: 'Weekly bulletins',
  heading: 'Weekly bulletin of {grid}',
  week: 'Week (Monday to Sunday)',
  weekOf: '{first} to {last}',
  grid: 'Grid',
  make: 'Make the bulletin',
  makeCorrection: 'Make a correction',
  correctsHint: 'Number {id} is of this week. Another one corrects it; that one stays as it is.',
  made: 'Number {id} is made, and will not change.',
  madeCorrects: 'Number {id} is made; it corrects number {corrects}.',
  working: 'Reading or counting…',
  list: 'Bulletins',
  none: 'There is none yet.',
  choose: '{n} are listed: choose one.',
  number: 'Number {id}',
  madeAt: 'made {time}',
  corrects: 'corrects number {id}',
  correctedBy: 'corrected by number {id}',
  frozen: 'Counted when it was made; it does not change.',
  outside: 'To be told outside',
  noOutside: 'Only the first bulletin of a whole county has a version to be told outside.',
  outsideNote: 'To be told outside: no number under 5; small ones are merged into the rest 其余.',
  reportedBy: 'Reported, by {by}',
  merged: 'in the rest',
  under5: 'under 5',
  by: { towns: 'grid below', departments: 'lead department', categories: 'category' },
  hot: 'Hot cells ({n}; the 10 hottest are listed)',
  noHot: 'No cell was hot in this week.',
  tooLarge: 'The area is too large for cells.',
  town: 'Where',
  class: 'Class',
  cell: 'Cell',
  notices: '{made} notices were made in this week; by the making of the bulletin {read} were read and {replied} answered.',
  fewNotices: 'How many notices were made, read and answered is not told outside: there are numbers under 5 among them.',
  note: 'Sensitive matters are counted for nobody. Open and overdue are as of the making. Persons are not compared.',
};
