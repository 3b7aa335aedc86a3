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

// of is the answer under a key: one that is fresh, or worked out anew. Errors are told to
// all who wait, and not kept.
func (k *kept[V]) of(ctx context.Context, key, caller string, fresh func(V) bool, work func() (v V, cost int, err error)) (v V, err error) {
	k.mu.Lock()
	if e, ok := k.byKey[key]; ok {
		if a := e.Value.(*keptAnswer[V]); fresh(a.v) {
			k.order.MoveToFront(e)
			k.mu.Unlock()
			return a.v, nil
		}
	}
	if w, ok := k.under[key]; ok {
		if k.waiting[caller] >= k.waiters {
			k.mu.Unlock()
			return v, errManyWait
		}
		k.waiting[caller]++
		k.mu.Unlock()
		defer k.waited(caller)
		select {
		case <-w.done:
			return w.v, w.err
		case <-ctx.Done():
			return v, ctx.Err()
		}
	}
	w := &keptWork[V]{done: make(chan struct{}), err: errKeptBroke}
	k.under[key] = w
	k.mu.Unlock()
	cost := 0
	defer func() { k.finish(key, w, cost) }() // also when it panics: nobody waits for ever
	w.v, cost, w.err = work()
	return w.v, w.err
}

func (k *kept[V]) waited(caller string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.waiting[caller]--; k.waiting[caller] == 0 {
		delete(k.waiting, caller)
	}
}

func (k *kept[V]) finish(key string, w *keptWork[V], cost int) {
	close(w.done)
	k.mu.Lock()
	defer k.mu.Unlock()
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
