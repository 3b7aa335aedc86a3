// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"errors"
	"testing"
	"time"

	"onemap/geo"
)

func TestWhistleIsMetByFixesAlone(t *testing.T) {
	t0 := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	place := geo.WGS84{107.2, 38.4}
	w, err := Call(Incident{ID: 7, State: Accepted}, Calling{Lead: 1, Assisting: []int64{2, 3}, Within: 30 * time.Minute}, t0)
	if err != nil || len(w.Calls) != 3 || !w.Calls[0].Lead || w.Calls[1].Lead || !w.Due.Equal(t0.Add(30*time.Minute)) {
		t.Fatalf("%+v, %v", w, err)
	}
	// A degree of latitude is 111 km: 0.001 is 111 m.
	north := func(m, accuracy float64, at time.Time) *Fix {
		return &Fix{Point: geo.WGS84{place[0], place[1] + m/111_195}, AccuracyM: accuracy, At: at}
	}
	say := func(dept int64, there bool, fix *Fix, at *geo.WGS84, now time.Time, want Judged, state string) {
		t.Helper()
		after, judged, err := Heard(w, WhistleReport{Department: dept, There: there, Fix: fix}, at, now)
		if err != nil || judged != want || after.Calls[dept-1].State() != state || after.Ver != w.Ver+1 {
			t.Fatalf("department %d: %q, %v, %+v", dept, judged, err, after.Calls[dept-1])
		}
		w = after
	}
	say(1, false, nil, &place, t0, JudgedNothing, "reported")
	say(1, true, nil, &place, t0, JudgedNoFix, "said")
	say(1, true, north(250, 10, t0), &place, t0, JudgedOutside, "said")
	say(1, true, north(350, 5000, t0), &place, t0, JudgedOutside, "said") // accuracy counts to 100 m
	say(1, true, north(10, 10, t0.Add(-11*time.Minute)), &place, t0, JudgedOld, "said")
	say(1, true, north(10, 10, t0), nil, t0, JudgedNoPlace, "said")
	say(1, true, north(250, 60, t0), &place, t0, JudgedArrived, "arrived")
	say(2, true, north(0, 0, t0), &place, t0, JudgedArrived, "arrived")
	for want, r := range map[error]WhistleReport{
		ErrNotCalled:     {Department: 9},
		ErrArrivedBefore: {Department: 2, There: true},
		ErrFixAhead:      {Department: 3, There: true, Fix: north(0, 0, t0.Add(time.Hour))},
		ErrNotByWord:     {Department: 3, There: true, Fix: north(0, 0, t0), ByDesk: true},
	} {
		if after, _, err := Heard(w, r, &place, t0); !errors.Is(err, want) || after.Ver != w.Ver {
			t.Errorf("%+v: %v, want %v", r, err, want)
		}
	}
	if _, n := Late(w, w.Due.Add(-1)); n != 0 {
		t.Error("late before the limit")
	}
	late, n := Late(w, w.Due)
	if n != 1 || late.State != WhistleRunning || !late.Calls[2].Late || late.Calls[0].Late || late.Ver != w.Ver+1 {
		t.Errorf("at the limit: %d, %+v", n, late)
	}
	if again, n := Late(late, w.Due.Add(time.Hour)); n != 0 || again.Ver != late.Ver {
		t.Error("late twice")
	}
	if _, err := EndWhistle(late, " ", t0); !errors.Is(err, ErrReasonMissing) {
		t.Errorf("ended without a reason: %v", err)
	}
	w = late
	say(3, true, north(1, 1, w.Due), &place, w.Due, JudgedArrived, "arrived")
	if w.State != WhistleMet || w.EndedAt == nil || !w.Calls[2].Late {
		t.Errorf("%+v", w)
	}
	if _, err := EndWhistle(w, "x", t0); !errors.Is(err, ErrWhistleOver) {
		t.Errorf("ended twice: %v", err)
	}
}

func TestWhistleNeedsOneLeadAndAnOpenIncident(t *testing.T) {
	good := Calling{Lead: 1, Assisting: []int64{2}, Within: time.Hour}
	for _, s := range States {
		_, err := Call(Incident{State: s}, good, time.Time{})
		may := s.Open() && s != Reported && s != Resolved && s != Verified && s != Reopened
		if (err == nil) != may {
			t.Errorf("%s: %v", s, err)
		}
	}
	for want, c := range map[error]Calling{
		ErrNobodyCalled: {Assisting: []int64{2}, Within: time.Hour},
		ErrWhistleLimit: {Lead: 1, Within: time.Second},
	} {
		if _, err := Call(Incident{State: Accepted}, c, time.Time{}); !errors.Is(err, want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := Call(Incident{State: Accepted}, Calling{Lead: 1, Assisting: []int64{1}, Within: time.Hour}, time.Time{}); !errors.Is(err, ErrNobodyCalled) {
		t.Errorf("twice: %v", err)
	}
}
