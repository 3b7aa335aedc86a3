// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/store"
)

// Sweeper fires the timers that are due, each exactly once: the transaction that
// carries a rung out marks it done, and takes the timer and its incident before it
// looks at them. So that servers do not get into each other's way, one sweeps: the one
// that holds an advisory lock.
//
// A server whose clock is more than two seconds off the database's does not sweep, and
// says so: rungs would come early or late. A Sweeper is used by one goroutine; State
// may be asked by any.
type Sweeper struct {
	Ledger *Ledger
	Pool   *pgxpool.Pool // its configuration is used for the connection that holds the lock
	Now    func() time.Time
	Log    *slog.Logger
	Node   string        // names this server in the timers it fired
	Poll   time.Duration // how long between two looks at most; default 500 ms
	Batch  int           // timers a look; default 1,000
	// DatabaseNow asks the database's clock; nil for its own statement. Tests, which
	// make time go by their own clock, put theirs here.
	DatabaseNow func(context.Context, *pgx.Conn) (time.Time, error)

	state   atomic.Pointer[SweepState]
	told    time.Time            // when it was last said that the clock is off
	adopted time.Time            // when stages without timers were last looked for
	rested  map[dueTimer]resting // timers that could not be fired
}

// SweepState is how a server's sweep stands.
type SweepState struct {
	Owner  bool          // this server sweeps
	Off    time.Duration // how far this server's clock is ahead of the database's
	Refuse bool          // and that is too far
	At     time.Time     // of the last look, by this server's clock
	Fired  int64         // timers this server fired since its start
	Late   time.Duration // how late the last one was
}

// State is how this server's sweep stands.
func (s *Sweeper) State() SweepState {
	if st := s.state.Load(); st != nil {
		return *st
	}
	return SweepState{}
}

const (
	sweepLock    = 0x6f6d737765 // key of the advisory lock: "omswe"
	maxOff       = 2 * time.Second
	sweepWorkers = 4
	adoptEvery   = 10 * time.Minute
	restAfter    = 10 * time.Second // a timer that could not be fired, at first
	longestRest  = 10 * time.Minute
)

type dueTimer struct {
	incident int64
	stage    int
	rung     dispatch.Rung
}

type resting struct {
	until time.Time
	wait  time.Duration
}

// Run sweeps until ctx ends. Lost connections and a lock held by another server are
// waited out.
func (s *Sweeper) Run(ctx context.Context) {
	if s.Poll == 0 {
		s.Poll = 500 * time.Millisecond
	}
	if s.Batch == 0 {
		s.Batch = 1000
	}
	if s.DatabaseNow == nil {
		s.DatabaseNow = func(ctx context.Context, conn *pgx.Conn) (at time.Time, err error) {
			err = conn.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&at)
			return at, err
		}
	}
	s.rested = map[dueTimer]resting{}
	for ctx.Err() == nil {
		if err := s.session(ctx); err != nil && ctx.Err() == nil {
			s.Log.Warn("sweep: starting over", "err", err)
		}
		s.note(func(st *SweepState) { st.Owner = false })
		wait(ctx, s.Poll)
	}
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func (s *Sweeper) note(f func(*SweepState)) {
	st := s.State()
	f(&st)
	s.state.Store(&st)
}

// session connects, takes the lock and sweeps until something fails. What it has
// begun it ends: a query cut off would hold the lock until the database notices.
func (s *Sweeper) session(ctx context.Context) error {
	whole := context.WithoutCancel(ctx)
	conn, err := pgx.ConnectConfig(ctx, s.Pool.Config().ConnConfig)
	if err != nil {
		return err
	}
	defer func() {
		cctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_ = conn.Close(cctx)
	}()
	for ctx.Err() == nil {
		next, err := s.look(whole, conn, ctx.Done())
		if err != nil {
			return err
		}
		wait(ctx, next)
	}
	return nil
}

// look is one look at the clocks and the timers; it says when to come again.
func (s *Sweeper) look(ctx context.Context, conn *pgx.Conn, stop <-chan struct{}) (next time.Duration, err error) {
	off, err := s.off(ctx, conn)
	if err != nil {
		return 0, err
	}
	refuse := off > maxOff || off < -maxOff
	s.note(func(st *SweepState) { st.Off, st.Refuse, st.At = off, refuse, s.Now() })
	if refuse {
		if now := time.Now(); now.Sub(s.told) > time.Minute {
			s.told = now
			s.Log.Error("this server's clock is off: it fires no reminders and limits until it is set right (NTP)", "ahead of the database", off.Round(time.Millisecond))
		}
		_, err := conn.Exec(ctx, "SELECT pg_advisory_unlock_all()") // another server may sweep
		s.note(func(st *SweepState) { st.Owner = false })
		return s.Poll, err
	}
	if !s.State().Owner {
		var mine bool
		if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", int64(sweepLock)).Scan(&mine); err != nil || !mine {
			return s.Poll, err
		}
		s.note(func(st *SweepState) { st.Owner = true })
		s.adopted = time.Time{}
	}
	if time.Since(s.adopted) > adoptEvery {
		if err := s.adopt(ctx); err != nil {
			return 0, err
		}
		s.adopted = time.Now()
	}
	full, err := s.sweep(ctx, conn, stop)
	if err != nil || full {
		return 0, err
	}
	return s.untilNext(ctx, conn)
}

// off is how far this server's clock is ahead of the database's: of three askings the
// one that took least.
func (s *Sweeper) off(ctx context.Context, conn *pgx.Conn) (time.Duration, error) {
	best, off := time.Duration(1<<62), time.Duration(0)
	for range 3 {
		begun, mine := time.Now(), s.Now()
		theirs, err := s.DatabaseNow(ctx, conn)
		if err != nil {
			return 0, err
		}
		took := time.Since(begun)
		if took < best {
			best, off = took, mine.Add(took/2).Sub(theirs)
		}
		if took < maxOff/4 {
			break
		}
	}
	return off, nil
}

// adopt gives timers to open stages that have none: they are from before there were
// any.
func (s *Sweeper) adopt(ctx context.Context) error {
	l := s.Ledger
	for {
		clocks := l.o.Catalogue.Now().Clocks
		page, err := store.Unarmed(ctx, l.o.DB.Pool, auth.System("every open clock, to arm it"), 500)
		if err != nil || len(page) == 0 {
			return err
		}
		b := &pgx.Batch{}
		for _, c := range page {
			store.ArmNew(b, c.Incident, c.Clock, dispatch.Rungs(c.Clock, clocks.Ladder, clocks.Calendar))
		}
		if err := l.o.DB.Together(ctx, b); err != nil {
			return fmt.Errorf("arm open stages: %w", err)
		}
	}
}

// untilNext is how long until the next timer, and Poll at most.
func (s *Sweeper) untilNext(ctx context.Context, conn *pgx.Conn) (time.Duration, error) {
	var at *time.Time
	err := conn.QueryRow(ctx, "SELECT min(at) FROM timer WHERE done_at IS NULL AND NOT held AND at > $1", s.Now()).Scan(&at)
	if err != nil || at == nil {
		return s.Poll, err
	}
	return min(max(at.Sub(s.Now()), 0)+time.Millisecond, s.Poll), nil
}

// sweep fires what is due, in the order it is due; incidents side by side, the timers
// of one after each other. full: there may be more.
func (s *Sweeper) sweep(ctx context.Context, conn *pgx.Conn, stop <-chan struct{}) (full bool, err error) {
	now := s.Now()
	rows, err := conn.Query(ctx, `SELECT incident_id, stage, rung FROM timer WHERE done_at IS NULL AND NOT held AND at <= $1
		ORDER BY at, incident_id, stage, rung LIMIT $2`, now, s.Batch+len(s.rested))
	if err != nil {
		return false, err
	}
	var order []int64
	due := map[int64][]dueTimer{}
	var t dueTimer
	if _, err := pgx.ForEachRow(rows, []any{&t.incident, &t.stage, &t.rung}, func() error {
		if r, ok := s.rested[t]; ok && now.Before(r.until) {
			return nil
		}
		if len(due[t.incident]) == 0 {
			order = append(order, t.incident)
		}
		due[t.incident] = append(due[t.incident], t)
		return nil
	}); err != nil {
		return false, err
	}
	var mu sync.Mutex // guards s.rested and fired
	fired := 0
	queue := make(chan int64)
	var workers sync.WaitGroup
	for range min(sweepWorkers, len(order)) {
		workers.Go(func() {
			for incident := range queue {
				for _, t := range due[incident] {
					did, err := s.fire(ctx, t)
					mu.Lock()
					if s.settled(t, err, now); did && err == nil {
						fired++
					}
					mu.Unlock()
				}
			}
		})
	}
feed:
	for _, incident := range order {
		select {
		case queue <- incident:
		case <-stop:
			break feed
		}
	}
	close(queue)
	workers.Wait()
	return fired > 0, nil
}

// settled notes how the firing of a timer went. One that fails is left alone for a
// while, longer each time, so that it holds up no other.
func (s *Sweeper) settled(t dueTimer, err error, now time.Time) {
	if err == nil {
		delete(s.rested, t)
		return
	}
	r := s.rested[t]
	r.wait = min(max(2*r.wait, restAfter), longestRest)
	r.until = now.Add(r.wait)
	s.rested[t] = r
	s.Log.Error("a limit's rung could not be carried out; trying again", "incident", t.incident, "rung", t.rung, "in", r.wait, "err", err)
}

// fire carries one rung out; did is false when there was nothing to do any more, or
// somebody is at work on the incident: then it is looked at again.
func (s *Sweeper) fire(ctx context.Context, t dueTimer) (did bool, err error) {
	l, lateness := s.Ledger, time.Duration(0)
	err = l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		var at time.Time
		err := tx.QueryRow(ctx, `SELECT t.at FROM timer t JOIN incident i ON i.id = t.incident_id
			WHERE t.incident_id = $1 AND t.stage = $2 AND t.rung = $3 AND t.done_at IS NULL AND NOT t.held AND t.at <= $4 FOR UPDATE SKIP LOCKED`,
			t.incident, t.stage, string(t.rung), s.Now()).Scan(&at)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		did, lateness = true, s.Now().Sub(at)
		return l.rung(ctx, tx, t, s.Node)
	})
	if err != nil {
		return false, fmt.Errorf("ledger: fire %s of stage %d of incident %d: %w", t.rung, t.stage, t.incident, err)
	}
	if did {
		s.count(lateness)
		l.o.Wake()
	}
	return did, nil
}

// count notes a timer that was fired.
func (s *Sweeper) count(late time.Duration) {
	for {
		old := s.state.Load()
		st := *old // look stored one
		st.Fired, st.Late = st.Fired+1, late
		if s.state.CompareAndSwap(old, &st) {
			return
		}
	}
}
