// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"sync"
	"time"
)

// lookOnce asks a question once a second at most, however many want to know.
type lookOnce struct {
	mu  sync.Mutex // guards what follows, also while it is asked
	at  time.Time
	err error
}

const lookAgain = time.Second

func (l *lookOnce) ask(ctx context.Context, question func(context.Context) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.at) <= lookAgain {
		return l.err
	}
	err := question(ctx)
	if ctx.Err() == nil { // one who went away has found out nothing
		l.err, l.at = err, time.Now()
	}
	return err
}
