// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch/calendar"
	"onemap/store"
	"onemap/store/ledger"
)

// Options say what Load loads, and where to.
type Options struct {
	DB        *store.DB
	Catalogue *store.Catalogue // reloaded when the grids, and when all is there
	Ledger    *ledger.Ledger
	Calendar  calendar.Calendar
	Seed      uint64
	Until     time.Time // the last moment of the past; now
	Past      int       // how many past incidents; 0 is Incidents
	// Progress, if not nil, is told how far the load is, in rows, and in words.
	Progress func(done, total int64, text string)
}

// Errors of Load.
var (
	ErrNotEmpty = errors.New("the database holds other data: the demo loads into an empty one only")
	ErrBusy     = errors.New("the demo is being loaded by somebody else")
)

// lockTries is how often, a tenth of a second apart, a held lock is asked for again.
const lockTries = 50

// batchSize is how many incidents are stored in one transaction.
const batchSize = 5_000

// settingKey is the setting that keeps how far the load is.
const settingKey = "demo"

// Loaded is how far a load is, kept as the setting "demo".
type Loaded struct {
	Seed      uint64    `json:"seed"`
	Until     time.Time `json:"until"`
	Past      int       `json:"past"`
	State     string    `json:"state"`     // loading, done
	Furnished bool      `json:"furnished"` // everything but the incidents is there
	Done      int       `json:"done"`      // incidents stored
}

// Load writes the made-up banner of a seed into an empty database. A load that
// was cut off goes on where it stopped, with the seed and the moment it began
// with; one that is done is left alone. ErrNotEmpty refuses a database with
// other data, ErrBusy a second load at the same time.
func Load(ctx context.Context, o Options) error {
	if o.Past == 0 {
		o.Past = Incidents
	}
	if o.Progress == nil {
		o.Progress = func(int64, int64, string) {}
	}
	conn, err := o.DB.Pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer conn.Release()
	// A load that was just cut off leaves its lock a moment later.
	for alone, tries := false, 0; !alone; tries++ {
		err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock(hashtext('onemap demo'))").Scan(&alone)
		if err == nil && !alone {
			if tries == lockTries {
				return ErrBusy
			}
			_, err = conn.Exec(ctx, "SELECT pg_sleep(0.1)")
		}
		if err != nil {
			return fmt.Errorf("demo: %w", err)
		}
	}
	// The lock belongs to the connection: it must not go back to the pool with it.
	defer func() { _ = conn.Conn().Close(context.WithoutCancel(ctx)) }()
	l := &loader{Options: o}
	return l.run(ctx)
}

type loader struct {
	Options
	loaded Loaded
	banner *Banner
}

func (l *loader) run(ctx context.Context) error {
	if err := l.begin(ctx); err != nil || l.loaded.State == "done" {
		return err
	}
	l.tell("正在绘制演示旗")
	var err error
	if l.banner, err = New(l.Seed); err != nil {
		return err
	}
	if err := l.enactGrids(ctx); err != nil {
		return err
	}
	l.tell("正在装入人员、道路、地址和摄像机")
	if err := l.furnish(ctx); err != nil {
		return err
	}
	if err := l.Catalogue.Reload(ctx); err != nil {
		return err
	}
	if err := l.importPast(ctx); err != nil {
		return err
	}
	l.loaded.State = "done"
	if err := l.DB.SaveSetting(ctx, settingKey, l.loaded); err != nil {
		return err
	}
	// The planner's figures, so that the first screens are not slow.
	if _, err := l.DB.Pool.Exec(ctx, "ANALYZE incident, incident_journal, place, road, camera"); err != nil {
		return fmt.Errorf("demo: analyze: %w", err)
	}
	l.tell("演示数据已装入")
	return nil
}

// tell reports progress: incidents are by far the most rows.
func (l *loader) tell(text string) { l.Progress(int64(l.loaded.Done), int64(l.Past), text) }

// begin finds where an earlier load stopped, or claims an empty database.
func (l *loader) begin(ctx context.Context) error {
	err := l.DB.Setting(ctx, settingKey, &l.loaded)
	if err == nil {
		if l.loaded.State != "done" && (l.loaded.Seed != l.Seed || l.loaded.Past != l.Past) {
			return fmt.Errorf("demo: a load with seed %d and %d incidents was begun: finish that one, or use an empty database",
				l.loaded.Seed, l.loaded.Past)
		}
		l.Until = l.loaded.Until
		return nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	var full bool
	err = l.DB.Pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM grid_version) OR EXISTS (SELECT FROM incident) OR EXISTS (SELECT FROM worker)
		OR EXISTS (SELECT FROM device) OR EXISTS (SELECT FROM road) OR EXISTS (SELECT FROM place) OR EXISTS (SELECT FROM camera) OR EXISTS (SELECT FROM layer)
		OR EXISTS (SELECT FROM import_job)`).Scan(&full)
	if err != nil {
		return fmt.Errorf("demo: is the database empty: %w", err)
	}
	if full {
		return ErrNotEmpty
	}
	l.loaded = Loaded{Seed: l.Seed, Until: l.Until.UTC().Truncate(time.Second), Past: l.Past, State: "loading"}
	l.Until = l.loaded.Until
	if err := l.DB.SaveSetting(ctx, "centre", store.Centre{
		Name: Centre, Levels: []string{"旗", "镇（苏木）", "村（嘎查）", "网格"}, Demo: true,
	}); err != nil {
		return err
	}
	return l.DB.SaveSetting(ctx, settingKey, l.loaded)
}

// enactGrids stores and enacts the tree, or goes on with the draft of an earlier
// load.
func (l *loader) enactGrids(ctx context.Context) error {
	var version int32
	var state string
	err := l.DB.Pool.QueryRow(ctx, "SELECT id, state FROM grid_version WHERE root_code = $1 ORDER BY id DESC LIMIT 1", RootCode).Scan(&version, &state)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		if version, err = l.DB.SaveDraft(ctx, l.banner.Drafts, true, "演示数据：虚构的旗"); err != nil {
			return err
		}
	case err != nil:
		return fmt.Errorf("demo: grids: %w", err)
	case state == "enacted":
		return nil
	}
	return l.DB.Enact(ctx, version)
}

// importPast stores the incidents that are still missing, batch after batch;
// the next batch is made while one is stored.
func (l *loader) importPast(ctx context.Context) error {
	h, err := l.banner.History(l.Until, l.Calendar, l.Past)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	batches := make(chan []ledger.Past, 1)
	ended := make(chan error, 1)
	go func() {
		defer close(batches)
		ended <- l.produce(ctx, h, batches)
	}()
	err = l.store(ctx, batches)
	stop()
	for range batches { // until the producer has gone
	}
	return errors.Join(err, <-ended)
}

// produce makes the batches after what is stored. It ends early, without an
// error, when ctx does.
func (l *loader) produce(ctx context.Context, h *History, out chan<- []ledger.Past) error {
	c := newConverter(l.banner, l.Catalogue.Now())
	batch := make([]ledger.Past, 0, batchSize)
	send := func() bool {
		select {
		case out <- batch:
			batch = make([]ledger.Past, 0, batchSize)
			return true
		case <-ctx.Done():
			return false
		}
	}
	for in := range h.From(l.loaded.Done) {
		p, err := c.past(in)
		if err != nil {
			return err
		}
		if batch = append(batch, p); len(batch) == batchSize && !send() {
			return nil
		}
	}
	if len(batch) > 0 {
		send()
	}
	return nil
}

func (l *loader) store(ctx context.Context, batches <-chan []ledger.Past) error {
	actor, h := auth.SystemActor("demo"), l.Ledger.History()
	for batch := range batches {
		next := l.loaded
		next.Done += len(batch)
		_, err := h.Import(ctx, actor, "演示数据", batch, func(ctx context.Context, tx pgx.Tx, _ ledger.Imported) error {
			return saveLoaded(ctx, tx, next)
		})
		if err != nil {
			return err
		}
		l.loaded = next
		l.tell("正在装入历史事件")
	}
	return ctx.Err()
}

func saveLoaded(ctx context.Context, tx pgx.Tx, v Loaded) error {
	_, err := tx.Exec(ctx, "UPDATE setting SET value = $2 WHERE key = $1", settingKey, v)
	return err
}
