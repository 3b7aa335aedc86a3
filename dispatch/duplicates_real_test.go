// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"compress/gzip"
	"encoding/csv"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
)

const realMessages = "../../shared/data/incidents/cn_complaints_likes.csv.gz"

// message is one of the real messages and which of the known places it names; -1 for none.
type message struct {
	reading
	place int
	group bool // it names the place in its subject: the known groups
}

// knownPlaces are those that the file's description names, with how many messages name
// each in their subject.
var knownPlaces = []struct {
	name string
	size int
}{{"丽发新城", 53}, {"伊景园", 40}, {"魅力之城", 29}}

func readMessages(t *testing.T) []message {
	t.Helper()
	f, err := os.Open(realMessages)
	if err != nil {
		t.Skipf("SKIPPED, the real data is not beside the repository: %v", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out []message
	sizes := make([]int, len(knownPlaces))
	for i, r := range rows[1:] {
		m := message{place: -1}
		for p, k := range knownPlaces {
			if strings.Contains(r[2]+r[4], k.name) {
				m.place = p
			}
			if strings.Contains(r[2], k.name) {
				m.group = true
				sizes[p]++
			}
		}
		at, err := time.Parse("2006/1/2 15:04:05", strings.TrimSpace(r[3]))
		if err != nil {
			if at, err = time.Parse("2006/1/2", strings.TrimSpace(r[3])); err != nil {
				t.Fatalf("row %d: %v", i+1, err)
			}
		}
		m.reading = read(Matter{ID: int64(i + 1), At: at, Title: r[2], Text: r[4]})
		out = append(out, m)
	}
	for p, k := range knownPlaces {
		if sizes[p] != k.size {
			t.Fatalf("%d messages name %s in their subject, want the %d of the file's description", sizes[p], k.name, k.size)
		}
	}
	return out
}

// tally counts suggestions: made and right, made and wrong, missed.
type tally struct{ right, wrong, missed int }

func (c tally) precision() float64 { return float64(c.right) / float64(c.right+c.wrong) }
func (c tally) recall() float64    { return float64(c.right) / float64(c.right+c.missed) }

// TestRealMessagesGroupAroundTheirPlaces asks, for each message of the known groups,
// which of all 4,326 messages are the same matter. A suggestion is right when both name
// the same known place; the score has never heard of the places. The weights were tuned
// with the half that is not counted here.
func TestRealMessagesGroupAroundTheirPlaces(t *testing.T) {
	all := readMessages(t)
	r := rand.New(rand.NewPCG(5, 9))
	var halves [2]tally
	var places [3]tally
	var textOnly tally
	linked := 0
	asked := [2]int{}
	for i := range all {
		if !all[i].group {
			continue
		}
		half := r.IntN(2)
		asked[half]++
		found := false
		for k := range all {
			if k == i || all[i].At.Sub(all[k].At).Abs() > DuplicateWindow {
				continue
			}
			l := all[i].like(all[k].reading)
			same := all[i].place == all[k].place
			halves[half].add(l.Score >= DuplicateFrom, same)
			if half == 1 {
				places[all[i].place].add(l.Score >= DuplicateFrom, same)
				textOnly.add(reason(l, ByText).Value >= 0.6, same)
				found = found || same && l.Score >= DuplicateFrom
			}
		}
		if found {
			linked++
		}
	}
	held := halves[1]
	t.Logf("tuned on %d messages: precision %.3f, recall %.3f", asked[0], halves[0].precision(), halves[0].recall())
	t.Logf("held-out %d messages: precision %.3f, recall %.3f (%d right, %d wrong, %d missed); %d of them are linked to their group",
		asked[1], held.precision(), held.recall(), held.right, held.wrong, held.missed, linked)
	for p, k := range knownPlaces {
		t.Logf("  %s: precision %.3f, recall %.3f", k.name, places[p].precision(), places[p].recall())
	}
	t.Logf("  by the text alone: precision %.3f, recall %.3f", textOnly.precision(), textOnly.recall())
	if held.precision() < 0.90 || held.recall() < 0.85 {
		t.Errorf("precision %.3f and recall %.3f on messages the weights were not tuned on: want 0.90 and 0.85", held.precision(), held.recall())
	}
}

func (c *tally) add(said, is bool) {
	switch {
	case said && is:
		c.right++
	case said:
		c.wrong++
	case is:
		c.missed++
	}
}

func reason(l Likeness, f Feature) LikeReason {
	for _, r := range l.Reasons {
		if r.Feature == f {
			return r
		}
	}
	return LikeReason{}
}
