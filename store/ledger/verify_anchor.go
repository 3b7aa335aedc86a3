// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"time"
)

// anchored is an anchor and what was found of it.
type anchored struct {
	anchor
	held  bool
	there int64 // the place its hash stands at
}

// compareAnchors compares seal s with the anchors. An anchor proves a hash as the
// next seal would.
func (c *auditCheck) compareAnchors(s *sealed) {
	for _, a := range c.anchors {
		if bytes.Equal(a.Hash, s.hash) {
			a.there = s.n
		}
	}
	for _, a := range c.atAnchor[s.n] {
		stored := track{s.hash, s.n + 1}
		if a.held = bytes.Equal(a.Hash, s.hash); a.held {
			c.settle(s.n + 1)
			c.tracks = []track{stored}
			continue
		}
		for _, t := range c.tracks {
			if bytes.Equal(a.Hash, t.hash) { // the next seals may build on either
				a.held = true
				c.settle(t.from)
				c.tracks = []track{{t.hash, s.n + 1}, stored}
				break
			}
		}
	}
}

// checkAnchors names the ends that the chain once had and does not hold now. An
// end that fell to a fault named already is not named again.
func (c *auditCheck) checkAnchors() {
	named := map[int64]bool{}
	for _, b := range c.broken {
		named[b.n] = true
	}
	for _, f := range c.faults {
		named[f.N] = true
	}
	var beyond *anchored // of several the farthest
	for _, a := range c.anchors {
		at := a.At.UTC().Format(time.DateTime)
		switch {
		case a.held || named[a.N] || c.lacks(a.N):
		case a.there > 0 && a.there < a.N:
			c.fault(TailCut, a.N, a.AuditID, "seal %d of %s is number %d now: %d seals before it were taken out of the chain", a.N, at, a.there, a.N-a.there)
		case a.N > c.last:
			if beyond == nil || a.N > beyond.N {
				beyond = a
			}
		default:
			c.fault(TailCut, a.N, a.AuditID, "the chain was cut before seal %d (audit row %d), which stood there at %s, and went on with other rows", a.N, a.AuditID, at)
		}
	}
	if beyond != nil {
		c.fault(TailCut, beyond.N, beyond.AuditID, "the chain ends at seal %d; at %s it reached seal %d (audit row %d): its end was cut off",
			c.last, beyond.At.UTC().Format(time.DateTime), beyond.N, beyond.AuditID)
	}
}
