// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"container/list"
	"context"
	"errors"
	"sync"
)

// kept keeps answers that are worked out once and served in many pieces, up to a cost of
// all, those asked for longest ago going first. Who asks for what is being worked out
// waits for it.
type kept[V any] struct {
	most    int // cost of all
	waiters int // of one caller, at once

	mu      sync.Mutex // guards what follows
	cost    int
	byKey   map[string]*list.Element // of *keptAnswer[V]
	order   *list.List               // most recently used first
	under   map[string]*keptWork[V]
	waiting map[string]int // by caller
}

type keptAnswer[V any] struct {
	key  string
	v    V
	cost int
}

type keptWork[V any] struct {
	done chan struct{}
	v    V
	err  error
}

func newKept[V any](most, waiters int) *kept[V] {
	return &kept[V]{most: most, waiters: waiters, byKey: map[string]*list.Element{}, order: list.New(), under: map[string]*keptWork[V]{}, waiting: map[string]int{}}
}

var (
	errKeptBroke = errors.New("api: an answer could not be worked out")
	errManyWait  = retryLater("too many of your requests wait for one answer; send this one again in a moment")
)

// ownRefusal is an error that only concerns who works an answer out, as that one has asked
// for too much: who waits is not told it, and works the answer out instead.
type ownRefusal struct{ error }

// of is the answer under a key: one that is fresh, or worked out anew. Errors are told to
// all who wait, but for an ownRefusal, and not kept. An answer that was waited for and is
// not fresh any more is not taken.
func (k *kept[V]) of(ctx context.Context, key, caller string, fresh func(V) bool, work func() (v V, cost int, err error)) (v V, err error) {
	for {
		k.mu.Lock()
		if e, ok := k.byKey[key]; ok {
			if a := e.Value.(*keptAnswer[V]); fresh(a.v) {
				k.order.MoveToFront(e)
				k.mu.Unlock()
				return a.v, nil
			}
		}
		w, ok := k.under[key]
		if !ok {
			break
		}
		if k.waiting[caller] >= k.waiters {
			k.mu.Unlock()
			return v, errManyWait
		}
		k.waiting[caller]++
		k.mu.Unlock()
		if err := k.wait(ctx, w, caller); err != nil {
			return v, err
		}
		switch own := (ownRefusal{}); {
		case errors.As(w.err, &own):
		case w.err != nil || fresh(w.v):
			return w.v, w.err
		}
	}
	w := &keptWork[V]{done: make(chan struct{}), err: errKeptBroke}
	k.under[key] = w
	k.mu.Unlock()
	cost := 0
	defer func() { k.finish(key, w, cost) }() // also when it panics: nobody waits for ever
	w.v, cost, w.err = work()
	if own := (ownRefusal{}); errors.As(w.err, &own) {
		return w.v, own.error
	}
	return w.v, w.err
}

func (k *kept[V]) wait(ctx context.Context, w *keptWork[V], caller string) error {
	defer k.waited(caller)
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (k *kept[V]) waited(caller string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.waiting[caller]--; k.waiting[caller] == 0 {
		delete(k.waiting, caller)
	}
}

func (k *kept[V]) finish(key string, w *keptWork[V], cost int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	defer close(w.done) // who has waited finds the place free
	delete(k.under, key)
	if w.err != nil {
		return
	}
	if e, ok := k.byKey[key]; ok {
		k.drop(e)
	}
	k.byKey[key] = k.order.PushFront(&keptAnswer[V]{key, w.v, cost})
	k.cost += cost
	for k.cost > k.most && k.order.Len() > 1 { // the newest stays, or its tiles would each work it out
		k.drop(k.order.Back())
	}
}

func (k *kept[V]) drop(e *list.Element) {
	a := k.order.Remove(e).(*keptAnswer[V])
	delete(k.byKey, a.key)
	k.cost -= a.cost
}
