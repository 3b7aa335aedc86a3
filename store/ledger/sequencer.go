// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onemap/feed"
)

// Sequencer numbers the events waiting in the outbox. One runs in a cluster: it
// holds an advisory lock on the very connection it writes on, so that two can
// never number at once.
type Sequencer struct {
	Pool   *pgxpool.Pool // only its configuration is used: the sequencer has a connection of its own
	Now    func() time.Time
	Log    *slog.Logger
	Wake   <-chan struct{}     // something was committed in this process
	OnHead func(head feed.Seq) // called after each batch
	Poll   time.Duration       // how often to look without a wake; default 200 ms
	Batch  int                 // events a transaction; default 1,000
}

// sequencerLock is the key of the advisory lock: "omseq".
const sequencerLock = 0x6f6d736571

// Run numbers events until ctx ends. Lost connections and a lock held by another
// node are waited out.
func (s *Sequencer) Run(ctx context.Context) {
	if s.Poll == 0 {
		s.Poll = 200 * time.Millisecond
	}
	if s.Batch == 0 {
		s.Batch = 1000
	}
	wait := s.Poll
	for ctx.Err() == nil {
		begun := time.Now()
		err := s.session(ctx)
		if time.Since(begun) > sessionGood {
			wait = s.Poll
		}
		if err != nil && ctx.Err() == nil {
			s.Log.Warn("sequencer: starting over", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, longestWait)
	}
}

// After a session that worked for a while the next one is tried at once; tries
// that keep failing come at longer and longer intervals.
const (
	sessionGood = 5 * time.Second
	longestWait = 2 * time.Second
)

// sequencerRest is how long events gather after a batch: a batch costs the database
// more than an event in it. Nobody sees it: screens are told every 50 ms.
const sequencerRest = 10 * time.Millisecond

var errNotLeader = errors.New("another node is the sequencer")

// session connects, takes the lock and numbers events until something fails.
func (s *Sequencer) session(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, s.Pool.Config().ConnConfig)
	if err != nil {
		return err
	}
	defer func() {
		cctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_ = conn.Close(cctx)
	}()
	var mine bool
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", int64(sequencerLock)).Scan(&mine); err != nil {
		return err
	}
	if !mine {
		return s.follow(ctx, conn)
	}
	if err := PrepareFeed(ctx, conn, s.Now()); err != nil {
		return err
	}
	s.makePartitions(ctx, conn)
	lastCare := s.Now()
	for {
		var rest <-chan time.Time
		for {
			n, head, err := s.step(ctx, conn)
			if err != nil {
				return err
			}
			if n > 0 {
				rest = time.After(sequencerRest)
			}
			if n > 0 && s.OnHead != nil {
				s.OnHead(head)
			}
			if n < s.Batch {
				break
			}
		}
		if now := s.Now(); now.Sub(lastCare) > time.Hour {
			if err := PrepareFeed(ctx, conn, now); err != nil {
				return err
			}
			s.makePartitions(ctx, conn)
			lastCare = now
		}
		if rest != nil {
			select {
			case <-ctx.Done():
				return nil
			case <-rest:
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.Wake:
		case <-time.After(s.Poll):
		}
	}
}

// follow waits while another node numbers, telling this node of new heads.
func (s *Sequencer) follow(ctx context.Context, conn *pgx.Conn) error {
	for {
		var mine bool
		var head feed.Seq
		err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1), coalesce((SELECT seq FROM feed_head), 0)", int64(sequencerLock)).Scan(&mine, &head)
		if err != nil {
			return err
		}
		if mine {
			return errNotLeader // the lock is free: start over as the sequencer
		}
		if s.OnHead != nil {
			s.OnHead(head)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(s.Poll):
		}
	}
}

// step numbers one batch in one statement: the events leave the outbox, get the
// next numbers, enter the feed and are folded into the live state. It is the
// database's twin of feed.Apply.
func (s *Sequencer) step(ctx context.Context, conn *pgx.Conn) (n int, head feed.Seq, err error) {
	err = conn.QueryRow(ctx, `
WITH picked AS (
  SELECT id FROM outbox ORDER BY id LIMIT $1
), taken AS (
  DELETE FROM outbox o USING picked p WHERE o.id = p.id RETURNING o.*
), stamp AS (
  SELECT seq, greatest(at, $2::timestamptz) AS at FROM feed_head
), numbered AS (
  SELECT stamp.seq + row_number() OVER (ORDER BY t.id) AS seq, stamp.at, t.kind, t.entity_kind, t.entity_id, t.ver, t.live,
         t.occurred_at, t.before_aud, t.after_aud, t.shared, t.case_view
  FROM taken t, stamp
), fed AS (
  INSERT INTO feed (seq, at, kind, entity_kind, entity_id, ver, live, occurred_at, before_aud, after_aud, shared, case_view)
  SELECT * FROM numbered
), newest AS (
  SELECT DISTINCT ON (entity_kind, entity_id) * FROM numbered WHERE live <> 'none' ORDER BY entity_kind, entity_id, seq DESC
), kept AS (
  INSERT INTO live_state (kind, id, seq, ver, audience, shared, case_view)
  SELECT entity_kind, entity_id, seq, ver, after_aud, shared, case_view FROM newest WHERE live = 'put'
  ON CONFLICT (kind, id) DO UPDATE SET seq = excluded.seq, ver = excluded.ver, audience = excluded.audience,
    shared = excluded.shared, case_view = excluded.case_view
), ended AS (
  DELETE FROM live_state l USING newest n WHERE n.live = 'end' AND l.kind = n.entity_kind AND l.id = n.entity_id
), moved AS (
  UPDATE feed_head h SET seq = h.seq + (SELECT count(*) FROM taken), at = (SELECT at FROM stamp)
  WHERE EXISTS (SELECT 1 FROM taken)
)
SELECT (SELECT count(*) FROM taken), (SELECT seq FROM stamp) + (SELECT count(*) FROM taken)`, s.Batch, s.Now()).Scan(&n, &head)
	if err != nil {
		return 0, 0, fmt.Errorf("number events: %w", err)
	}
	return n, head, nil
}

// PrepareFeed makes sure that the feed has a head of the database's own lineage.
// A database that was restored or promoted starts a new epoch, so that every
// client starts over.
func PrepareFeed(ctx context.Context, conn *pgx.Conn, now time.Time) error {
	_, err := conn.Exec(ctx, `
WITH here AS (
  SELECT (SELECT system_identifier FROM pg_control_system())::text || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8) AS lineage
)
INSERT INTO feed_head (epoch, lineage, seq, at) SELECT gen_random_uuid(), lineage, 0, $1 FROM here
ON CONFLICT (one) DO UPDATE SET epoch = gen_random_uuid(), lineage = excluded.lineage WHERE feed_head.lineage <> excluded.lineage`, now)
	if err != nil {
		return fmt.Errorf("feed head: %w", err)
	}
	return nil
}

// makePartitions makes the feed's partitions of this month and the next two. One
// that cannot be made (a backup holds the table, or the default partition has
// events of that month already) must not stop the numbering: the default
// partition takes the events, and the next care tries again.
func (s *Sequencer) makePartitions(ctx context.Context, conn *pgx.Conn) {
	now := s.Now()
	first := time.Date(now.UTC().Year(), now.UTC().Month(), 1, 0, 0, 0, 0, time.UTC)
	for i := range 3 {
		from, to := first.AddDate(0, i, 0), first.AddDate(0, i+1, 0)
		// A month and two dates of our own making: nothing of a user's is in them.
		name := pgx.Identifier{"feed_" + from.Format("2006_01")}.Sanitize()
		_, err := conn.Exec(ctx, "CREATE TABLE IF NOT EXISTS "+name+" PARTITION OF feed FOR VALUES FROM ('"+
			from.Format(time.DateOnly)+"') TO ('"+to.Format(time.DateOnly)+"')")
		if err != nil && ctx.Err() == nil {
			s.Log.Warn("feed partition not made; its events go to the default one", "partition", name, "err", err)
		}
	}
}
