// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package localpg

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// policy says how patiently PostgreSQL is started again. Zero fields take the
// defaults.
type policy struct {
	maxFailures int           // give up at this many failures within window; default 8
	window      time.Duration // default 1 min
	firstPause  time.Duration // before the second try; doubles each time; default 250 ms
	maxPause    time.Duration // default 5 s
	healthy     time.Duration // a death after having run this long is no failure; default 2 s
	logEvery    time.Duration // how often the log's size is looked at; default 1 min
}

func (p policy) withDefaults() policy {
	if p.maxFailures == 0 {
		p.maxFailures = 8
	}
	if p.window == 0 {
		p.window = time.Minute
	}
	if p.firstPause == 0 {
		p.firstPause = 250 * time.Millisecond
	}
	if p.maxPause == 0 {
		p.maxPause = 5 * time.Second
	}
	if p.healthy == 0 {
		p.healthy = 2 * time.Second
	}
	if p.logEvery == 0 {
		p.logEvery = time.Minute
	}
	return p
}

// supervise keeps PostgreSQL running until life ends, then shuts it down and
// gives the folder free.
func (s *Server) supervise(life context.Context, p *postmaster) {
	defer close(s.ended)
	defer s.c.close()
	defer s.stop()
	pol := s.c.opts.policy.withDefaults()
	for {
		up := time.Now()
		if !s.watch(life, p, pol.logEvery) {
			s.shutdown(p)
			return
		}
		s.c.log.Error("the database server died, starting it again",
			"cause", fmt.Sprint(p.err), "log", s.c.out.file.Name())
		begin := time.Now()
		var next *postmaster
		var err error
		if begin.Sub(up) < pol.healthy {
			err = s.countFailure(pol, fmt.Errorf("postgres ended by itself: %v", p.err))
		}
		if err == nil {
			next, err = s.restart(life, pol)
		}
		if life.Err() != nil {
			if next != nil {
				s.shutdown(next)
			}
			return
		}
		if err != nil {
			s.err = fmt.Errorf("localpg: gave up starting the database: %w", err)
			s.c.log.Error("gave up starting the database", "error", err)
			close(s.gaveUp)
			return
		}
		s.c.log.Info("the database is back", "took", time.Since(begin))
		p = next
	}
}

// watch waits until the postmaster died (true) or life ended (false), and keeps
// the log bounded meanwhile.
func (s *Server) watch(life context.Context, p *postmaster, logEvery time.Duration) (died bool) {
	tick := time.NewTicker(logEvery)
	defer tick.Stop()
	for {
		select {
		case <-life.Done():
			return false
		case <-p.done:
			return life.Err() == nil
		case <-tick.C:
			if err := s.c.out.rotate(); err != nil {
				s.c.log.Warn("log of the database", "error", err)
			}
		}
	}
}

// restart tries until PostgreSQL answers, life ends or the failures are too many
// in a short time. A full disk is not given up on: an operator can make room, and
// the program's own end would help nobody.
func (s *Server) restart(life context.Context, pol policy) (*postmaster, error) {
	wait := pol.firstPause
	for {
		p, err := s.c.launchUntilReady(life)
		if err == nil || life.Err() != nil {
			return p, err
		}
		if errors.Is(err, errDiskFull) {
			wait = pol.maxPause
		} else if err := s.countFailure(pol, err); err != nil {
			return nil, err
		}
		s.c.log.Error("the database does not start", "error", err, "again_in", wait)
		if err := pause(life, wait); err != nil {
			return nil, err
		}
		wait = min(2*wait, pol.maxPause)
	}
}

// countFailure notes a failed start or an early death; the error says that they
// are too many.
func (s *Server) countFailure(pol policy, cause error) error {
	now := time.Now()
	s.failures = append(s.failures, now)
	for now.Sub(s.failures[0]) > pol.window {
		s.failures = s.failures[1:]
	}
	if len(s.failures) < pol.maxFailures {
		return nil
	}
	return fmt.Errorf("%d failures within %v, last: %w", len(s.failures), pol.window, cause)
}

// shutdown ends the postmaster fast and cleanly, or at once when Stop has run out
// of patience.
func (s *Server) shutdown(p *postmaster) {
	p.signal(fastShutdown)
	select {
	case <-p.done:
		return
	case <-s.hard:
	}
	p.end(0)
	// A killed postmaster may leave backends behind.
	if err := s.c.clearRemains(context.Background()); err != nil {
		s.c.log.Error("after a hard shutdown", "error", err)
	}
}
