// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package track

import (
	"math"
	"slices"
	"time"

	"onemap/geo"
)

// Verdict says what is wrong with a fix, worst first; the empty Verdict is
// nothing.
type Verdict string

const (
	OK         Verdict = ""
	Late       Verdict = "late"        // reached the server when it was no longer fresh
	Jump       Verdict = "jump"        // not reachable from its neighbours at 50 m/s
	Poor       Verdict = "poor"        // accuracy worse than 200 m
	Mock       Verdict = "mock"        // made up, says the device
	Invalid    Verdict = "invalid"     // not a valid fix, says the device
	NullIsland Verdict = "null_island" // 0, 0: what broken receivers send
	Nowhere    Verdict = "nowhere"     // no place on earth
	Future     Verdict = "future"      // the device's clock is ahead of the server's
	Ancient    Verdict = "ancient"     // older than any history kept: a wrong clock
)

const (
	maxSpeed      = 50.0 // m/s
	poorAccuracy  = 200.0
	blurUnknown   = 50.0 // metres of doubt granted to a fix that tells no accuracy
	nullIsland    = 0.001
	futureAllowed = 120 * time.Second
	// Retention is how long raw fixes are kept; older ones have no partition.
	Retention = 30 * 24 * time.Hour
	// around is how many fixes, the judged one included, a jump is judged by.
	around = 7
)

// Trusted reports whether a fix with this verdict may be a worker's last known
// place. A late fix may: its age is told, and a newer one always wins.
func (v Verdict) Trusted() bool { return v == OK || v == Late }

// Stored reports whether history keeps such a fix. It keeps doubtful places,
// flagged, but none whose time or place can't be: a wrong clock would reach days
// that have no partition, or take the key of a true fix to come.
func (v Verdict) Stored() bool { return v != Future && v != Ancient && v != Nowhere }

// Judge returns the verdict on f, a pure function of the fix, its device's
// interval and its neighbours: the same device's fixes next to f in fix time, at
// best six, in any order. Fixes that are bad in themselves do not count as
// neighbours. A verdict set by the door (Invalid) stands unless f is worse.
func Judge(f Fix, interval time.Duration, neighbours []Fix) Verdict {
	v := judgeAlone(f, interval)
	if !v.Trusted() {
		return v
	}
	w := window{f}
	for _, n := range neighbours {
		if judgeAlone(n, interval).Trusted() {
			w, _ = w.insert(n)
		}
	}
	i := slices.IndexFunc(w, func(g Fix) bool { return g.At.Equal(f.At) })
	if i >= 0 && !w.chain().holds(i) {
		return Jump
	}
	return v
}

// judgeAlone judges f without its neighbours.
func judgeAlone(f Fix, interval time.Duration) Verdict {
	switch lon, lat := f.P.Lon(), f.P.Lat(); {
	case f.At.After(f.ServerAt.Add(futureAllowed)):
		return Future
	case f.At.Before(f.ServerAt.Add(-Retention)):
		return Ancient
	case !(math.Abs(lon) <= 180 && math.Abs(lat) <= 90): // NaN too
		return Nowhere
	case math.Abs(lon) < nullIsland && math.Abs(lat) < nullIsland:
		return NullIsland
	case f.Verdict == Invalid:
		return Invalid
	case f.Mock:
		return Mock
	case f.AccuracyM > poorAccuracy:
		return Poor
	case f.ServerAt.Sub(f.At) >= FreshFor(interval):
		return Late
	}
	return OK
}

// reachable reports whether one can get from a to b in the time between them.
func reachable(a, b Fix) bool {
	dt := b.At.Sub(a.At).Abs().Seconds()
	return geo.Distance(a.P, b.P)-blur(a)-blur(b) <= maxSpeed*dt
}

func blur(f Fix) float64 {
	if f.AccuracyM < 0 {
		return blurUnknown
	}
	return min(float64(f.AccuracyM), poorAccuracy)
}

// window is a device's newest fixes, at most `around`, oldest first, one for each
// fix time. What it holds depends on the set of fixes alone, not on their order
// of arrival.
type window []Fix

// insert returns the window with f in it, and where f went; -1 when f is too old
// for the window or its time is taken by an earlier arrival.
func (w window) insert(f Fix) (window, int) {
	i, taken := slices.BinarySearchFunc(w, f, func(a, b Fix) int { return a.At.Compare(b.At) })
	switch {
	case taken && !arrivedBefore(f, w[i]):
		return w, -1
	case taken:
		w[i] = f
		return w, i
	case len(w) < around:
		return slices.Insert(w, i, f), i
	case i == 0:
		return w, -1
	}
	copy(w, w[1:i])
	w[i-1] = f
	return w, i - 1
}

// arrivedBefore orders fixes of the same time: the first to arrive stands, as in
// the database; the place breaks a tie.
func arrivedBefore(a, b Fix) bool {
	if c := a.ServerAt.Compare(b.ServerAt); c != 0 {
		return c < 0
	}
	if a.P[0] != b.P[0] {
		return a.P[0] < b.P[0]
	}
	return a.P[1] < b.P[1]
}

// The track through a window is its longest chain of fixes in which each is
// reachable from the one before. A teleport is a chain of one beside it:
//
//	o--o--o--o-----o--o
//	           x              50 m/s to and from x: off the track
//
// Between equal chains the earlier end wins, so that one strange fix never
// takes over from one good fix, while two agreeing ones do.
func (w window) chain() chain {
	var c chain
	var length [around]int
	for i := range w {
		length[i], c.before[i] = 1, -1
		for j := i - 1; j >= 0; j-- {
			if length[j] >= length[i] && reachable(w[j], w[i]) {
				length[i], c.before[i] = length[j]+1, j
			}
		}
		if length[i] > length[c.end] {
			c.end = i
		}
	}
	return c
}

// chain is the track through a window, as indexes into it.
type chain struct {
	before [around]int // the fix before each, -1 for none
	end    int         // the newest fix on the track
}

// holds reports whether fix i lies on the track.
func (c chain) holds(i int) bool {
	at := c.end
	for at > i {
		at = c.before[at]
	}
	return at == i
}
