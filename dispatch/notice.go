// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Notice is what a unit is told of an area (预警提示单), as far as the rules look at it:
// to be read, and answered by Due.
type Notice struct {
	ID           int64
	Ver          int
	MadeAt       time.Time
	Due          time.Time
	RemindAt     time.Time // unread then, it is reminded of; zero for half way to Due
	ReadAt       *time.Time
	RemindedAt   *time.Time
	RepliedAt    *time.Time
	Reply        string
	SupervisedAt *time.Time // it was due without a reply
	WithdrawnAt  *time.Time
	Reason       string // why it was withdrawn
}

// State is where a notice stands, in one word: sent, read, replied or withdrawn.
func (n Notice) State() string {
	switch {
	case n.WithdrawnAt != nil:
		return "withdrawn"
	case n.RepliedAt != nil:
		return "replied"
	case n.ReadAt != nil:
		return "read"
	}
	return "sent"
}

// Open reports whether a reply is still wanted.
func (n Notice) Open() bool { return n.RepliedAt == nil && n.WithdrawnAt == nil }

// InTime reports whether it was answered by its due time.
func (n Notice) InTime() bool { return n.RepliedAt != nil && !n.RepliedAt.After(n.Due) }

// longestNotice is how far ahead a notice may be due.
const longestNotice = 366 * 24 * time.Hour

// What notices refuse.
var (
	ErrNoticeDue    = errors.New("a notice is due between one minute and a year from now")
	ErrNoticeRemind = errors.New("the reminder must lie between now and the due time")
	ErrNoticeOver   = errors.New("this notice is answered or withdrawn")
	ErrNotAddressed = errors.New("this notice is directed to another unit: only its own people read and answer it")
	ErrNoticeOwn    = errors.New("this notice is directed to your own unit by somebody else: answer it, or ask who made it to withdraw it")
)

// Issue completes a new notice.
func Issue(n Notice, now time.Time) (Notice, error) {
	n.Ver, n.MadeAt = 1, now
	if left := n.Due.Sub(now); left < time.Minute || left > longestNotice {
		return n, guarded(ErrNoticeDue)
	}
	if n.RemindAt.IsZero() {
		n.RemindAt = now.Add(n.Due.Sub(now) / 2)
	}
	if !n.RemindAt.After(now) || n.RemindAt.After(n.Due) {
		return n, guarded(ErrNoticeRemind)
	}
	return n, nil
}

// Opened is a notice that somebody of its unit has read; changed is false when it was
// read before.
func Opened(n Notice, now time.Time) (after Notice, changed bool) {
	if n.ReadAt != nil {
		return n, false
	}
	n.Ver++
	n.ReadAt = &now
	return n, true
}

// Answered is a notice with its one reply. It may come late.
func Answered(n Notice, reply string, now time.Time) (Notice, error) {
	if !n.Open() {
		return n, guarded(ErrNoticeOver)
	}
	if strings.TrimSpace(reply) == "" {
		return n, fmt.Errorf("reply: %w", ErrReasonMissing)
	}
	if n.ReadAt == nil {
		n.ReadAt = &now
	}
	n.Ver++
	n.RepliedAt, n.Reply = &now, reply
	return n, nil
}

// Withdrawn is a notice that is taken back: it counts in no rate.
func Withdrawn(n Notice, reason string, now time.Time) (Notice, error) {
	if !n.Open() {
		return n, guarded(ErrNoticeOver)
	}
	if strings.TrimSpace(reason) == "" {
		return n, fmt.Errorf("withdraw: %w", ErrReasonMissing)
	}
	n.Ver++
	n.WithdrawnAt, n.Reason = &now, reason
	return n, nil
}

// What the clock does to a notice, as its events are called.
const (
	NoticeReminded = "notice.reminded"
	NoticeOverdue  = "notice.overdue"
)

// Tick is what the clock does to a notice, each once: overdue without a reply it is
// supervised, unread at its time it is reminded of. what is "" for nothing.
func Tick(n Notice, now time.Time) (after Notice, what string) {
	switch {
	case !n.Open():
	case now.After(n.Due):
		if n.SupervisedAt == nil {
			n.Ver++
			n.SupervisedAt = &now
			return n, NoticeOverdue
		}
	case n.ReadAt == nil && n.RemindedAt == nil && !now.Before(n.RemindAt):
		n.Ver++
		n.RemindedAt = &now
		return n, NoticeReminded
	}
	return n, ""
}
