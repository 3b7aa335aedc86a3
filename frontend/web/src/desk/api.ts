// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The desk's requests.

import type { Http } from '../session/http';
import { newRef } from '../wire/ref';
import type { Advice, Case, JournalEntry, Offer } from './types';

/** What an act brings with it. */
export interface Act {
  action: string;
  reason?: string;
  door?: string;
  level?: number;
  until?: string;
}

export class DeskApi {
  constructor(private readonly http: Http) {}

  incident = (id: string) => this.http.get<Case>(`/api/v1/incidents/${id}`);
  journal = async (id: string) => (await this.http.get<{ items: JournalEntry[] }>(`/api/v1/incidents/${id}/journal`)).items;
  offers = async (id: string) => (await this.http.get<{ items: Offer[] }>(`/api/v1/incidents/${id}/offers`)).items;
  advice = (id: string, k: number) => this.http.get<Advice>(`/api/v1/incidents/${id}/candidates`, { k });

  /** Moves an incident on from the version that was seen. */
  act(id: string, version: number, act: Act): Promise<Case> {
    return this.http.post(`/api/v1/incidents/${id}/actions`, act, once(version));
  }
  /** Asks workers; with lead the first of them is to lead. */
  offer(id: string, version: number, workers: string[], lead: boolean): Promise<{ items: Offer[] }> {
    return this.http.post(`/api/v1/incidents/${id}/offers`, { worker_ids: workers, lead }, once(version));
  }
  withdraw(offer: string, reason: string): Promise<Offer> {
    return this.http.post(`/api/v1/offers/${offer}/acts`, {
      kind: 'withdraw',
      client_ref: newRef(),
      ...(reason && { reason }),
    });
  }
}

const once = (version: number) => ({ 'If-Match': `"${version}"`, 'Idempotency-Key': newRef() });
