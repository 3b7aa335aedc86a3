// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package osmand

import (
	"context"
	"errors"
	"sync"
	"time"
)

// pacer holds a device to its rate without ever refusing a client that sends one
// request after the other: a request over the rate waits for its turn, so that a
// backlog drains at the rate. Only a device with several requests in the air at
// once is turned away, and everybody when too many wait.
type pacer struct {
	rate, burst float64
	max         int

	mu      sync.Mutex // guards all below
	waiting int
	devices map[int64]*bucket // known devices only, so bounded by the directory
}

// bucket is one device's allowance. It may be overdrawn: the debt is waited for.
type bucket struct {
	tokens float64
	at     time.Time
	inside int
}

const maxInside = 4 // requests of one device at a time

var (
	errTooFast = errors.New("osmand: too many requests of one device at a time")
	errBusy    = errors.New("osmand: too many requests waiting")
)

func newPacer(rate, burst float64, most int) *pacer {
	return &pacer{rate: rate, burst: burst, max: most, devices: map[int64]*bucket{}}
}

// enter waits for the device's turn; leave must be called at the end of the
// request.
func (p *pacer) enter(ctx context.Context, device int64, now time.Time) (leave func(), err error) {
	wait, err := p.claim(device, now)
	if err != nil {
		return nil, err
	}
	leave = func() { p.leave(device) }
	if wait <= 0 {
		return leave, nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return leave, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}

func (p *pacer) claim(device int64, now time.Time) (time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.devices[device]
	if b == nil {
		b = &bucket{tokens: p.burst, at: now}
		p.devices[device] = b
	}
	switch {
	case b.inside >= maxInside:
		return 0, errTooFast
	case p.waiting >= p.max:
		return 0, errBusy
	}
	passed := max(0, now.Sub(b.at).Seconds()) // a clock set back gives nothing and takes nothing
	b.tokens, b.at = min(p.burst, b.tokens+passed*p.rate), now
	b.tokens--
	b.inside++
	p.waiting++
	if b.tokens >= 0 {
		return 0, nil
	}
	return time.Duration(-b.tokens / p.rate * float64(time.Second)), nil
}

func (p *pacer) leave(device int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.devices[device].inside--
	p.waiting--
}
