// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package people_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"onemap/people"
)

func TestARotaIsReadAsPeopleWriteIt(t *testing.T) {
	show := func(r people.Rota) string {
		var out []string
		for _, h := range r {
			out = append(out, fmt.Sprintf("%d %d-%d", (int(h.Weekday)+6)%7+1, h.Start, h.End))
		}
		return strings.Join(out, ", ")
	}
	for _, c := range []struct{ text, want string }{
		{"1 08:00-17:30", "1 480-1050"},
		{"周一至周三 8:00-12:00 14:00-18:00", "1 480-720, 1 840-1080, 2 480-720, 2 840-1080, 3 480-720, 3 840-1080"},
		{"6，7 20：00～08：00", "6 1200-1920, 7 1200-1920"},
		{"工作日 09:00-17:00；周末 10:00-12:00", "1 540-1020, 2 540-1020, 3 540-1020, 4 540-1020, 5 540-1020, 6 600-720, 7 600-720"},
		{"星期六至星期一 00:00-24:00", "1 0-1440, 6 0-1440, 7 0-1440"},
		{"每天 08:00-08:00", "1 480-1920, 2 480-1920, 3 480-1920, 4 480-1920, 5 480-1920, 6 480-1920, 7 480-1920"},
		{"周一、周三08:00-12:00", "1 480-720, 3 480-720"},
		{" ", ""},
	} {
		r, err := people.ParseRota(c.text)
		if err != nil || show(r) != c.want {
			t.Errorf("%q: %s, %v, want %s", c.text, show(r), err, c.want)
		}
	}
	r, _ := people.ParseRota("周日 20:00-08:00")
	if _, on := r.OnDuty(time.Date(2026, 11, 22, 23, 0, 0, 0, time.UTC)); !on { // Monday, seven in the morning in China
		t.Error("the night of Sunday does not run into Monday")
	}
	for _, bad := range []string{"08:00-17:00", "周一", "周八 08:00-17:00", "1 8-17", "1 08:60-17:00", "1 08:00-24:01", "1 24:00-08:00", "0 08:00-09:00", "1 08:00-17:00 2 08:00-09:00", "1 08:00-09:00; 1 08:00-10:00", "看情况"} {
		if r, err := people.ParseRota(bad); err == nil {
			t.Errorf("%q is read as %s", bad, show(r))
		}
	}
}

// FuzzParseRota: what is read is a rota the record takes.
func FuzzParseRota(f *testing.F) {
	f.Add("周一至周五 08:00-12:00 14:00-18:00；6,7 20:00-08:00")
	f.Add("工作日 9:00-17:00;周末 0:00-24:00")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := people.ParseRota(text)
		if err != nil {
			return
		}
		seen := map[[2]int]bool{}
		for _, h := range r {
			k := [2]int{int(h.Weekday), h.Start}
			if h.Start < 0 || h.Start > 1439 || h.End <= h.Start || h.End > h.Start+1440 || h.Weekday < 0 || h.Weekday > 6 || seen[k] {
				t.Errorf("%q: %+v", text, r)
			}
			seen[k] = true
		}
	})
}
