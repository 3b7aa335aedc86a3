// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package hub

import "sync/atomic"

// Stats are the hub's figures since it was made; Clients and Rooms are
// of this moment.
type Stats struct {
	Clients   int   // open sockets
	Rooms     int   // distinct scopes and views among them
	Sent      int64 // protocol messages written to sockets
	Bytes     int64 // their bytes, with frame headers
	Slow      int64 // sockets closed with 4008 because their queue was full
	Resets    int64
	Resumes   int64
	Snapshots int64 // snapshots encoded; far fewer than Resets under a storm
	ReadBacks int64 // times the record was read for a resume beyond the ring
	Refused   int64 // sockets refused by a limit
}

type counters struct {
	sent, bytes, slow, resets, resumes, snapshots, readBacks, refused atomic.Int64
}

// Stats returns the figures of now.
func (h *Hub) Stats() Stats {
	h.mu.Lock()
	clients, rooms := len(h.clients), len(h.rooms)
	h.mu.Unlock()
	c := &h.stats
	return Stats{
		Clients: clients, Rooms: rooms, Sent: c.sent.Load(), Bytes: c.bytes.Load(), Slow: c.slow.Load(),
		Resets: c.resets.Load(), Resumes: c.resumes.Load(), Snapshots: c.snapshots.Load(),
		ReadBacks: c.readBacks.Load(), Refused: c.refused.Load(),
	}
}
