// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

import type { Tone } from '../ui/StateChip.vue';

/** How an account's state looks. */
export const STATE_TONE = { invited: 'waiting', active: 'good', disabled: 'bad' } as const satisfies Record<string, Tone>;
