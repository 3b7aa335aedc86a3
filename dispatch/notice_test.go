// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"errors"
	"testing"
	"time"
)

func TestNoticeIsRemindedOfAndSupervisedOnce(t *testing.T) {
	t0 := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	n, err := Issue(Notice{Due: t0.Add(2 * time.Hour)}, t0)
	if err != nil || !n.RemindAt.Equal(t0.Add(time.Hour)) || n.State() != "sent" {
		t.Fatalf("%+v, %v", n, err)
	}
	told := map[string]int{}
	for m := range 300 { // every minute of five hours
		var what string
		before := n.Ver
		n, what = Tick(n, t0.Add(time.Duration(m)*time.Minute))
		if what != "" {
			told[what]++
			if n.Ver != before+1 {
				t.Errorf("%s: version %d after %d", what, n.Ver, before)
			}
		}
	}
	if told[NoticeReminded] != 1 || told[NoticeOverdue] != 1 || !n.RemindedAt.Equal(n.RemindAt) || !n.SupervisedAt.Equal(t0.Add(121*time.Minute)) {
		t.Errorf("%v, %+v", told, n)
	}
	late, err := Answered(n, "已排查", t0.Add(5*time.Hour))
	if err != nil || late.InTime() || late.State() != "replied" || late.ReadAt == nil || late.SupervisedAt == nil {
		t.Errorf("%+v, %v", late, err)
	}
	if _, err := Answered(late, "再答", t0); !errors.Is(err, ErrNoticeOver) {
		t.Errorf("answered twice: %v", err)
	}
	if _, err := Withdrawn(late, "误发", t0); !errors.Is(err, ErrNoticeOver) {
		t.Errorf("withdrawn after the reply: %v", err)
	}
}

func TestNoticeReadInTimeIsLeftAlone(t *testing.T) {
	t0 := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	n, _ := Issue(Notice{Due: t0.Add(2 * time.Hour), RemindAt: t0.Add(10 * time.Minute)}, t0)
	n, first := Opened(n, t0.Add(time.Minute))
	if _, again := Opened(n, t0.Add(2*time.Minute)); !first || again {
		t.Error("read twice")
	}
	if _, what := Tick(n, t0.Add(time.Hour)); what != "" {
		t.Errorf("%s of a notice that was read", what)
	}
	n, err := Answered(n, "已处置", n.Due)
	if err != nil || !n.InTime() {
		t.Errorf("%+v, %v", n, err)
	}
	if _, what := Tick(n, n.Due.Add(time.Hour)); what != "" {
		t.Errorf("%s of a notice that was answered", what)
	}
	for want, bad := range map[error]Notice{ErrNoticeDue: {Due: t0}, ErrNoticeRemind: {Due: t0.Add(time.Hour), RemindAt: t0.Add(2 * time.Hour)}} {
		if _, err := Issue(bad, t0); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	if _, err := Withdrawn(Notice{}, "", t0); !errors.Is(err, ErrReasonMissing) {
		t.Errorf("%v", err)
	}
}
