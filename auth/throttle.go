// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"container/heap"
	"crypto/sha256"
	"sync"
	"time"
)

// Throttle lets each key act so many times in a span of time: a bucket that holds
// limit tokens and fills up again over per, so a rested key may act limit times
// at once. It is safe for concurrent use. Its memory is bounded: when it is full
// it forgets the key that is nearest to rested, so that a crowd of made-up keys
// can't push out one that has used up its tokens.
//
// The times it is given should carry a monotonic reading, as time.Now gives.
type Throttle struct {
	per, each time.Duration // a full bucket, and one token

	mu   sync.Mutex
	keys keyed // a key's forget is when its bucket is full again
}

// NewThrottle returns a throttle of limit acts in per, for up to maxKeys keys at
// once. A limit below 1 allows nothing.
func NewThrottle(limit int, per time.Duration, maxKeys int) *Throttle {
	t := &Throttle{keys: newKeyed(maxKeys)}
	if limit > 0 {
		t.each = max(per/time.Duration(limit), 1)
		t.per = t.each * time.Duration(limit)
	}
	return t
}

// Allow takes a token of key, or tells after how long there will be one. Being
// refused costs nothing.
func (t *Throttle) Allow(key string, now time.Time) (ok bool, retryAfter time.Duration) {
	if t.per <= 0 {
		return false, time.Minute
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	debt := t.each // how long until the bucket is full again
	if k := t.keys.get(key, now); k != nil {
		if k.forget.Sub(now) > t.per { // the clock went back
			t.keys.put(key, now, now.Add(t.per))
		}
		debt += k.forget.Sub(now)
	}
	if debt > t.per {
		return false, debt - t.per
	}
	t.keys.put(key, now, now.Add(debt))
	return true, 0
}

// Len is how many keys are remembered.
func (t *Throttle) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.keys.byName)
}

// Budget lets each key take a share of something, time above all, whose price is
// known only when it is spent. A rested key may spend a burst at once; one that
// has spent more waits until its share has paid for it. It is safe for concurrent
// use, and its memory is bounded like that of Throttle.
type Budget struct {
	share float64
	burst time.Duration

	mu   sync.Mutex
	keys keyed // a key's forget is when it is rested again
}

// NewBudget returns a budget of share (0 to 1) of the time, up to burst at once,
// for up to maxKeys keys.
func NewBudget(share float64, burst time.Duration, maxKeys int) *Budget {
	return &Budget{share: share, burst: burst, keys: newKeyed(maxKeys)}
}

// Spend notes that key has spent d.
func (b *Budget) Spend(key string, now time.Time, d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keys.put(key, now, now.Add(b.owed(key, now)+b.rest(d)))
}

// Wait is how long key must wait before it may go on; 0 when it may.
func (b *Budget) Wait(key string, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(0, b.owed(key, now)-b.rest(b.burst))
}

// owed is how long key must rest until it may spend a whole burst again.
func (b *Budget) owed(key string, now time.Time) time.Duration {
	if k := b.keys.get(key, now); k != nil {
		return k.forget.Sub(now)
	}
	return 0
}

// rest is how long the share takes to pay for d.
func (b *Budget) rest(d time.Duration) time.Duration { return time.Duration(float64(d) / b.share) }

// Lockout locks a key after several failures in a row: first for base, then with
// every further failure for twice as long, up to max. It is safe for concurrent
// use. A success clears the key, and so does time: failures more than max apart
// are not in a row, and a key that was locked starts anew twice max after its
// lock ended. Its memory is bounded like that of Throttle; a lock in force is
// forgotten only if all keys are locked.
type Lockout struct {
	after     int
	base, max time.Duration

	mu   sync.Mutex
	keys keyed
}

// NewLockout returns a lockout of up to maxKeys keys at once.
func NewLockout(after int, base, maxLock time.Duration, maxKeys int) *Lockout {
	return &Lockout{after: max(after, 1), base: base, max: max(base, maxLock), keys: newKeyed(maxKeys)}
}

// Fail counts a failure of key. While key is locked nothing is counted.
func (l *Lockout) Fail(key string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fails := 1
	if k := l.keys.get(key, now); k != nil {
		if l.left(k, now) > 0 {
			return
		}
		fails += k.fails
	}
	if fails < l.after {
		l.keys.put(key, now, now.Add(l.max)).fails = fails
		return
	}
	lock := l.base
	for n := l.after; n < fails && lock < l.max; n++ {
		lock *= 2
	}
	lock = min(lock, l.max)
	k := l.keys.put(key, now, now.Add(lock+2*l.max))
	k.fails, k.lock, k.until = fails, lock, now.Add(lock)
}

// Clear forgets the failures of key, after a success.
func (l *Lockout) Clear(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keys.drop(key)
}

// Locked reports whether key is locked, and for how long still.
func (l *Lockout) Locked(key string, now time.Time) (locked bool, left time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k := l.keys.get(key, now); k != nil {
		left = l.left(k, now)
	}
	return left > 0, left
}

// left is how long k stays locked.
func (l *Lockout) left(k *keep, now time.Time) time.Duration {
	if k.until.Sub(now) > k.lock { // the clock went back
		k.until = now.Add(k.lock)
	}
	return max(0, k.until.Sub(now))
}

// Len is how many keys are remembered.
func (l *Lockout) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.keys.byName)
}

// keep is what is remembered of one key, until forget.
type keep struct {
	name   string
	forget time.Time
	at     int // its place in the heap

	fails int           // of a Lockout
	lock  time.Duration // how long it was locked the last time
	until time.Time     // and until when
}

// keyed remembers up to most keys, and when it is full drops the one it would
// forget first anyway.
type keyed struct {
	most    int
	byName  map[string]*keep
	soonest soonest
}

func newKeyed(most int) keyed { return keyed{most: max(most, 1), byName: map[string]*keep{}} }

// keyName is a key of bounded length: a longer one is known by its hash.
func keyName(key string) string {
	if len(key) <= 64 {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return string(sum[:])
}

// get returns what is remembered of key at this time; nil for nothing.
func (m *keyed) get(key string, now time.Time) *keep {
	k := m.byName[keyName(key)]
	if k == nil || !k.forget.After(now) {
		return nil
	}
	return k
}

// put remembers key until forget, and makes room for it.
func (m *keyed) put(key string, now, forget time.Time) *keep {
	name := keyName(key)
	if k := m.byName[name]; k != nil {
		k.forget = forget
		heap.Fix(&m.soonest, k.at)
		return k
	}
	for range 2 { // two for each new one: what is over goes bit by bit
		if len(m.soonest) > 0 && !m.soonest[0].forget.After(now) {
			m.drop(m.soonest[0].name)
		}
	}
	for len(m.soonest) >= m.most {
		m.drop(m.soonest[0].name)
	}
	k := &keep{name: name, forget: forget}
	m.byName[name] = k
	heap.Push(&m.soonest, k)
	return k
}

func (m *keyed) drop(key string) {
	name := keyName(key)
	if k := m.byName[name]; k != nil {
		heap.Remove(&m.soonest, k.at)
		delete(m.byName, name)
	}
}

// soonest is a heap with the key to be forgotten first on top.
type soonest []*keep

func (s soonest) Len() int           { return len(s) }
func (s soonest) Less(i, j int) bool { return s[i].forget.Before(s[j].forget) }
func (s soonest) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].at, s[j].at = i, j
}

func (s *soonest) Push(x any) {
	k := x.(*keep)
	k.at = len(*s)
	*s = append(*s, k)
}

func (s *soonest) Pop() any {
	last := len(*s) - 1
	k := (*s)[last]
	(*s)[last] = nil
	*s = (*s)[:last]
	return k
}
