// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"onemap/internal/app"
)

type demoCmd struct {
	place
	Seed uint64 `help:"The same seed always makes the same banner." default:"1"`
	Past int    `help:"Past incidents." default:"300000"`
}

func (c *demoCmd) Run(ctx context.Context, say messages) error {
	db, seal, done, err := c.openRecord(ctx)
	if err != nil {
		return err
	}
	defer done()
	return app.LoadDemo(ctx, db, seal, app.Options{DemoSeed: c.Seed, DemoPast: c.Past, Out: say.Writer})
}
