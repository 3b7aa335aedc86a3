// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Who did something, by the office it was done in: never by a person's name.

import { useI18n } from 'vue-i18n';
import { useDesk } from './desk';
import { actorWord } from './words';

/** The words for an actor, by what the journal of the chosen incident tells of them. */
export function useWho(): (actor: string | null) => string {
  const { t, te } = useI18n();
  const desk = useDesk();
  return (actor) => actorWord(t, te, actor ?? '', desk.journal.value.find((e) => e.actor === actor)?.by);
}
