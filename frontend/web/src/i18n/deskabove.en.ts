// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// What the desk's forms say of others' words, supervisions and decisions, English.

export const deskAboveEn = {
  word: {
    who: 'Which department called',
    what: 'What it said',
    report: 'It comes',
    arrive: 'It is there',
    hint: 'A word by telephone is kept as “there by word”; “there by fix” is what the department’s own phone shows.',
    chooseWho: 'Choose the department that called.',
    chooseWhat: 'Choose what it said.',
    gone: '{name} has said itself that it is there: there is nothing to write down.',
    go: 'Write it down',
    short: 'Take its word',
  },
  supervise: {
    whom: 'Supervise {level}',
    reason: 'Why, and what is wanted',
    within: 'Answer within',
    ruled: 'Left empty: {limit}, by the rules.',
    byRule: 'Left empty: by the rules.',
    whole: 'A whole number from 1 to {n}, or nothing.',
    movesUp: 'Without an answer by then the incident moves up a level.',
    toLeader: 'Without an answer by then the county leader is told.',
    owes: '{who} answers by {time}',
    go: 'Supervise',
  },
  decide: {
    asked: 'Asked for',
    who: 'Asked by',
    by: 'by {limit}',
    until: 'until {time}',
    decision: 'Decision',
    approve: 'Approve',
    refuse: 'Refuse',
    choose: 'Choose whether you approve or refuse.',
    why: 'Reason',
    sayWhy: 'A refusal needs a reason.',
    effect: {
      void: 'The incident is void at once, and nobody works on it any more.',
      extend: 'The limit is put off at once.',
      suspend: 'It is suspended at once: its clock stands until it is looked at again.',
    },
    go: 'Decide',
    short: 'Decide',
    failed: 'What waits for you could not be read; press A to read it again.',
    reading: 'Reading what waits for you.',
    more: 'There are more; they are shown when these are decided.',
  },
};
