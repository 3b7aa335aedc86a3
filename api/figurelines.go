// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"time"

	"onemap/analysis"
	"onemap/auth"
	"onemap/store"
)

// figureWriter puts counts into the form of an answer.
type figureWriter struct {
	cat    *store.Catalog
	in     *PeriodQuestion
	shared bool // the reader is told no small number
	now    bool // what is open now is told too
}

// tells says whether the parts of a whole may all be told: none of them is from 1 to 4
// for who is told no small number.
func (w figureWriter) tells(parts ...int) bool {
	return !w.shared || !slices.ContainsFunc(parts, func(n int) bool { return n != 0 && n < auth.K })
}

func (w figureWriter) count(n int, rows string) FigureCount {
	if !w.tells(n) {
		return FigureCount{}
	}
	return FigureCount{&n, rows}
}

func (w figureWriter) share(n, of int, rows, ofRows string) FigureShare {
	if !w.tells(n, of-n) {
		return FigureShare{}
	}
	return FigureShare{&n, &of, rate(n, of), rows, ofRows}
}

// rate is n of of; nil without any.
func rate(n, of int) *float64 {
	if of == 0 {
		return nil
	}
	r := fourDigits(float64(n) / float64(of))
	return &r
}

func fourDigits(v float64) float64 { return math.Round(v*1e4) / 1e4 }

// line is the figures of these counts; base is the query that lists the incidents.
func (w figureWriter) line(c analysis.Counts, base url.Values) FigureLine {
	reported := w.query(base, "from", "to")
	closed := w.query(base, "closed_from", "closed_to")
	l := FigureLine{
		Reported: w.count(c.Reported, reported()), Closed: w.count(c.Closed, closed()),
		NotLocated: w.share(c.NotLocated, c.Reported, reported("place", "none"), reported()),
		Outside:    w.share(c.Outside, c.Reported, reported("place", "outside"), reported()),
		OnTheSpot:  w.share(c.OnTheSpot, c.Closed, closed("on_the_spot", "true"), closed()),
		Reopened:   w.share(c.Reopened, c.Closed, closed("reopened", "true"), closed()),
		NoLimit:    w.share(c.NoLimit, c.Closed, closed("no_limit", "true"), closed()),
		Chosen:     w.count(c.Chosen, ""), Overridden: w.overridden(c),
		Solved: []LevelShare{}, OnTime: w.onTime(c, base), Satisfied: w.ratings(c),
	}
	if w.tells(c.Closed) {
		l.WorkingDays.N, l.WorkingDays.Rows = &c.Closed, closed()
		if c.Closed > 0 {
			mean := fourDigits(c.WorkingDays / float64(c.Closed))
			l.WorkingDays.Mean = &mean
		}
	}
	tells := w.tells(c.Solved[:]...)
	for level := 1; level <= analysis.MaxLevel; level++ {
		if level <= max(depth(w.cat.Tree), len(w.cat.Centre.Levels)) || c.Solved[level] > 0 {
			l.Solved = append(l.Solved, w.solved(c, level, w.cat.Centre.Level(level), tells, base, closed))
		}
	}
	if c.Solved[0] > 0 {
		l.Solved = append(l.Solved, w.solved(c, 0, "未知", tells, base, closed))
	}
	if w.now && !w.shared { // it changes by the minute: one answer less another would tell who reads no cases a small number
		open := w.nowOpen(base)
		count, share := w.count(c.Open, open("open", "true")), w.share(c.Overdue, c.Open, open("overdue", "true"), open("open", "true"))
		l.Open, l.Overdue = &count, &share
	}
	if w.shared && (!w.tells(c.NotLocated, c.Outside, c.Reported-c.NotLocated-c.Outside)) { // one of them would tell the other
		l.NotLocated, l.Outside = FigureShare{}, FigureShare{}
	}
	return l
}

// overridden is told beside those chosen, which leave those without advice.
func (w figureWriter) overridden(c analysis.Counts) FigureShare {
	if !w.tells(c.Chosen - c.Advised) {
		return FigureShare{}
	}
	return w.share(c.Overridden, c.Advised, "", "")
}

func (w figureWriter) solved(c analysis.Counts, level int, name string, tells bool, base url.Values, closed func(...string) string) LevelShare {
	s := LevelShare{Level: level, Name: name}
	if !tells {
		return s
	}
	rows := ""
	if !base.Has("level") { // of a group of one level it is in the query already
		rows = closed("level", strconv.Itoa(level))
	}
	s.FigureShare = w.share(c.Solved[level], c.Closed, rows, closed())
	return s
}

func (w figureWriter) onTime(c analysis.Counts, base url.Values) OnTimeFigure {
	due := w.query(base, "due_from", "due_to")
	f := OnTimeFigure{
		Provisional: w.count(c.Provisional, ""), Extended: w.count(c.Extended, ""),
		Standing: w.count(c.Standing, due("outcome", string(analysis.Standing))), Elsewhere: w.count(c.Elsewhere, due("outcome", string(analysis.Elsewhere))),
	}
	if !w.tells(c.Due() - c.Provisional) { // of those due, which are told beside them
		f.Provisional = FigureCount{}
	}
	if !w.tells(c.Due() - c.Extended) {
		f.Extended = FigureCount{}
	}
	if w.tells(c.InTime, c.Unchecked, c.Late) {
		f.FigureShare = w.share(c.InTime, c.Due(), due("outcome", string(analysis.InTime)),
			due("outcome", fmt.Sprint(analysis.InTime, ",", analysis.Unchecked, ",", analysis.Late)))
		f.Unchecked, f.Late = w.count(c.Unchecked, due("outcome", string(analysis.Unchecked))), w.count(c.Late, due("outcome", string(analysis.Late)))
	}
	return f
}

func (w figureWriter) ratings(c analysis.Counts) RatingFigure {
	f := RatingFigure{Unreached: w.count(c.Unreached, ""), Owed: w.count(c.Owed, "")}
	if w.tells(c.Satisfied, c.Basically, c.Unsatisfied) {
		f.FigureShare = w.share(c.Satisfied+c.Basically, c.Rated(), "", "")
		f.Fully, f.Basically, f.Unsatisfied = w.count(c.Satisfied, ""), w.count(c.Basically, ""), w.count(c.Unsatisfied, "")
	}
	return f
}

// nowOpen makes queries of the list of what is open, whenever it was reported.
func (w figureWriter) nowOpen(base url.Values) func(name, value string) string {
	return func(name, value string) string {
		if base == nil || w.shared {
			return ""
		}
		v := maps.Clone(base)
		v.Set(name, value)
		return v.Encode()
	}
}

// query makes queries of the list for one period, with more parameters as pairs; empty
// ones where there is no base, and for who reads no cases.
func (w figureWriter) query(base url.Values, from, to string) func(more ...string) string {
	return func(more ...string) string {
		if base == nil || w.shared {
			return ""
		}
		v := url.Values{from: {w.in.From.Format(time.RFC3339Nano)}, to: {w.in.To.Format(time.RFC3339Nano)}}
		for k, all := range base {
			v[k] = all
		}
		for i := 0; i < len(more); i += 2 {
			v.Set(more[i], more[i+1])
		}
		return v.Encode()
	}
}
