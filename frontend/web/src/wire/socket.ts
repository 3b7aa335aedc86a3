// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The browser's own socket to this very server.

import { type SocketLike, SUBPROTOCOL } from './client';

export function openSocket(): SocketLike {
  const url = new URL('/api/v1/live', location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return new WebSocket(url, SUBPROTOCOL) as unknown as SocketLike;
}
