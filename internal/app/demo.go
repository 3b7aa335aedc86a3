// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"onemap/api"
	"onemap/auth"
	"onemap/dispatch/calendar"
	"onemap/internal/demo"
	"onemap/internal/job"
	"onemap/store"
	"onemap/store/ledger"
)

// startDemo loads the made-up banner behind a bar that people see, then lets a
// pretend field move in it, through the public surface only.
func (s *Server) startDemo() {
	s.loop("demo", func(ctx context.Context) {
		err := s.loadDemo(ctx)
		if err == nil {
			s.behind.Store(true) // roads and cameras came after the grids
			s.nudge(s.layersDue)()
		}
		s.load.Store(&api.Loading{})
		if errors.Is(err, demo.ErrNotEmpty) {
			s.o.Log.Warn("no demo: the database holds other data")
			return
		}
		if err != nil {
			if ctx.Err() == nil {
				s.o.Log.Error("demo not loaded; start again to go on", "err", err)
			}
			return
		}
		if s.o.DemoField {
			s.runField(ctx)
		}
	})
}

func (s *Server) loadDemo(ctx context.Context) error {
	show := newBar(s.o)
	return demo.Load(ctx, demoOptions(s.db, s.catalogue, s.ledger, s.o, func(done, total int64, text string) {
		s.load.Store(&api.Loading{Done: done, Total: total, Text: text})
		show(done, total, text)
	}))
}

func demoOptions(db *store.DB, cat *store.Catalogue, led *ledger.Ledger, o Options, progress func(done, total int64, text string)) demo.Options {
	return demo.Options{
		DB: db, Catalogue: cat, Ledger: led, Calendar: calendar.Default(), Seed: o.DemoSeed, Until: o.Now(), Past: o.DemoPast, Progress: progress,
	}
}

// LoadDemo loads the made-up banner without a server, printing its progress to
// o.Out.
func LoadDemo(ctx context.Context, db *store.DB, seal *store.Sealer, o Options) error {
	o.setDefaults()
	cat, err := store.NewCatalogue(ctx, db)
	if err != nil {
		return err
	}
	led := ledger.New(ledger.Options{DB: db, Catalogue: cat, Sealer: seal, Now: o.Now})
	return demo.Load(ctx, demoOptions(db, cat, led, o, newBar(o)))
}

// newBar prints progress: in place on a terminal, now and then elsewhere.
func newBar(o Options) func(done, total int64, text string) {
	f, ok := o.Out.(interface{ Fd() uintptr })
	tty := false
	if ok {
		if file, isFile := f.(*os.File); isFile {
			tty = job.IsTerminal(file)
		}
	}
	var last time.Time
	return func(done, total int64, text string) {
		now := o.Now()
		if done < total && now.Sub(last) < time.Second {
			return
		}
		last = now
		line := fmt.Sprintf("%s %3d%%  %d / %d", text, 100*done/max(1, total), done, total)
		if tty {
			fmt.Fprintf(o.Out, "\r\033[K%s", line)
			if done >= total {
				fmt.Fprintln(o.Out)
			}
			return
		}
		fmt.Fprintln(o.Out, line)
	}
}

// fieldPause is how long the pretend field rests after a failure.
const fieldPause = 5 * time.Second

// runField moves the demo's workers and reports incidents until the server
// stops. It comes in by the same doors as a real field.
func (s *Server) runField(ctx context.Context) {
	for ctx.Err() == nil {
		if err := s.fieldOnce(ctx); err != nil && ctx.Err() == nil {
			s.o.Log.Warn("pretend field: starting over", "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(fieldPause):
			}
		}
	}
}

func (s *Server) fieldOnce(ctx context.Context) error {
	token, err := s.fieldToken(ctx)
	if err != nil {
		return err
	}
	f, err := demo.NewField(demo.FieldOptions{
		Server: s.URL(), Devices: s.DeviceURL(), Token: token, TLS: s.itself(), For: fieldShift, Seed: s.o.DemoSeed, PerMinute: fieldPerMinute, Now: s.o.Now,
	})
	if err != nil {
		return err
	}
	_, err = f.Run(ctx)
	return err
}

// fieldPerMinute is how many incidents a minute the pretend field reports: enough
// to see the wall live, few enough to read it.
const fieldPerMinute = 4

// fieldToken makes a short-lived token for the pretend field.
func (s *Server) fieldToken(ctx context.Context) (string, error) {
	secret, until := store.NewSecret(), s.o.Now().Add(fieldShift+time.Hour)
	_, err := s.db.SaveCredential(ctx, s.db.Pool, secret, store.Credential{
		Kind: store.Token, Role: auth.HallOperator, Sensitive: true, ExpiresAt: &until, Note: "pretend field",
	})
	return secret, err
}

// fieldShift is how long one run of the pretend field lasts; then a new token is
// made and it goes on.
const fieldShift = 12 * time.Hour
