// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/dispatch/calendar"
	"onemap/intake"
	"onemap/store"
	"onemap/store/ledger"
)

// LimitItem is how long something may take.
type LimitItem struct {
	Value int    `json:"value" minimum:"1" maximum:"600000"`
	Unit  string `json:"unit" enum:"min,nh,wh,wd,sd,cd" doc:"min 分钟, nh 小时, wh 工作时, wd 工作日, sd 当日, cd 自然日"`
}

// SeasonItem is the office hours from a day of the year until the next season.
type SeasonItem struct {
	From  string      `json:"from" pattern:"^[0-9]{2}-[0-9]{2}$" doc:"Month and day: 05-01"`
	Hours [][2]string `json:"hours" minItems:"1" maxItems:"8" doc:"Pairs of times of day: [[\"08:30\",\"12:00\"],[\"14:30\",\"18:00\"]]"`
}

// OwnDay is a day on which this centre works or rests whatever the notices say.
type OwnDay struct {
	Day     string `json:"day" pattern:"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"`
	Working bool   `json:"working"`
	Note    string `json:"note,omitempty" maxLength:"200"`
}

// LevelItem is the limit of a level's stages where neither category nor letter says.
type LevelItem struct {
	Level int `json:"level" minimum:"1" maximum:"6"`
	LimitItem
}

// LadderItem places the rungs of one priority.
type LadderItem struct {
	Priority  int        `json:"priority" minimum:"1" maximum:"4"`
	Remind    *LimitItem `json:"remind,omitempty" doc:"Before the due time; left out for no reminder"`
	Supervise *LimitItem `json:"supervise,omitempty" doc:"After the breach; left out for at once"`
	Reply     LimitItem  `json:"reply" doc:"The limit of the answer to a supervision"`
}

// CalendarInput is a centre's own days, hours, limits and offsets, whole.
type CalendarInput struct {
	OfficeHours bool         `json:"office_hours" doc:"false: working days end at 24:00"`
	LateFrom    string       `json:"late_from,omitempty" doc:"A same-day limit that starts at this time or later ends at late_until the next day; 20:00 when left out"`
	LateUntil   string       `json:"late_until,omitempty" doc:"12:00 when left out"`
	Seasons     []SeasonItem `json:"seasons" maxItems:"12" doc:"By the day they begin; none: the program's summer and winter"`
	Days        []OwnDay     `json:"days" maxItems:"2000"`
	Levels      []LevelItem  `json:"levels" maxItems:"6"`
	Ladder      []LadderItem `json:"ladder" minItems:"4" maxItems:"4"`
}

// Calendar is what due times are counted by.
type Calendar struct {
	Version   string `json:"version" doc:"As the rule of a due time names it"`
	Revision  int    `json:"revision" doc:"Counts the changes; send it back in If-Match"`
	KnownFrom int    `json:"known_from" doc:"First year whose notice of holidays the program knows"`
	KnownTo   int    `json:"known_to" doc:"And the last: a limit that runs beyond it is provisional"`
	CalendarInput
}

type calendarOutput struct {
	ETag string `header:"ETag"`
	Body Calendar
}

type calendarInput struct {
	IfMatch string `header:"If-Match" doc:"The calendar's revision as its ETag gave it, in quotes"`
	Body    CalendarInput
}

// DueMove is what a calendar does to open due times: how many go from when to when.
type DueMove struct {
	Due       time.Time `json:"due"`
	WouldBe   time.Time `json:"would_be"`
	Incidents int       `json:"incidents"`
	LateNow   int       `json:"late_now" doc:"Of them, late by the present due time"`
	LateThen  int       `json:"late_then" doc:"And by the other"`
}

// CalendarPreview is what a recount would change. It names no incident.
type CalendarPreview struct {
	Examined int       `json:"examined" doc:"Open stages whose clock could be counted anew"`
	Moved    int       `json:"moved"`
	Sooner   int       `json:"sooner"`
	Later    int       `json:"later"`
	LateThen int       `json:"late_then" doc:"Would be late that are not now"`
	InTime   int       `json:"in_time_then" doc:"Would be in time that are late now"`
	Moves    []DueMove `json:"moves" doc:"The 200 soonest"`
}

type previewOutput struct{ Body CalendarPreview }

type recalculateInput struct {
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"1000"`
	}
}

type recalculateOutput struct {
	Body struct {
		Moved int  `json:"moved" doc:"Stages whose due time was counted anew by this request"`
		Done  bool `json:"done" doc:"false: more are left; send the request again"`
	}
}

func (s *Server) calendar() {
	route(s, need{auth.Read, auth.ClockSetting}, huma.Operation{
		OperationID: "get-calendar", Method: http.MethodGet, Path: "/api/v1/calendar", Tags: []string{"clocks"},
		Summary: "The centre's days, office hours, limits of levels and offsets of the ladder",
	}, s.getCalendar)
	route(s, need{auth.Write, auth.ClockSetting}, huma.Operation{
		OperationID: "change-calendar", Method: http.MethodPut, Path: "/api/v1/calendar", Tags: []string{"clocks"},
		Summary: "Change them, as a whole; audited", Errors: []int{409, 422, 428}, MaxBodyBytes: calendarBody,
		Description: "Due times that were counted before stay as they are: see recalculate.",
	}, s.changeCalendar)
	route(s, need{auth.Write, auth.ClockSetting}, huma.Operation{
		OperationID: "preview-calendar", Method: http.MethodPost, Path: "/api/v1/calendar/preview", Tags: []string{"clocks"},
		Summary: "What a calendar would change of open due times if they were counted anew; nothing is written", Errors: []int{422}, MaxBodyBytes: calendarBody,
	}, s.previewCalendar)
	route(s, need{auth.Write, auth.ClockSetting}, huma.Operation{
		OperationID: "recalculate-due", Method: http.MethodPost, Path: "/api/v1/calendar/recalculate", Tags: []string{"clocks"},
		Summary: "Count open due times anew by the calendar in force: each that moves gets a journal entry and an event", Errors: []int{422},
		Description: "Limits that were extended or stood still keep what they were given. May be sent again at any time: what was counted anew is not touched.",
	}, s.recalculate)
}

const calendarBody = 512 << 10 // ten years of own days with notes

func limitItem(l dispatch.Limit) LimitItem { return LimitItem{l.Value, string(l.Unit)} }

func orNoLimit(l dispatch.Limit) *LimitItem {
	if l.Value == 0 {
		return nil
	}
	i := limitItem(l)
	return &i
}

func clockTime(minute int) string { return fmt.Sprintf("%02d:%02d", minute/60, minute%60) }

func calendarOf(c store.Clocks) *calendarOutput {
	cal := c.Calendar
	out := &calendarOutput{ETag: strconv.Quote(strconv.Itoa(cal.Revision)), Body: Calendar{Version: cal.Version(), Revision: cal.Revision}}
	b := &out.Body
	b.KnownFrom, b.KnownTo = calendar.Known()
	b.OfficeHours, b.LateFrom, b.LateUntil = !cal.NoOfficeHours, "20:00", "12:00"
	if cal.LateFrom != 0 {
		b.LateFrom = clockTime(cal.LateFrom)
	}
	if cal.LateUntil != 0 {
		b.LateUntil = clockTime(cal.LateUntil)
	}
	b.Seasons, b.Days, b.Levels, b.Ladder = []SeasonItem{}, []OwnDay{}, []LevelItem{}, []LadderItem{}
	seasons := cal.Seasons
	if seasons == nil {
		seasons = calendar.DefaultSeasons()
	}
	for _, x := range seasons {
		i := SeasonItem{From: fmt.Sprintf("%02d-%02d", int(x.Month), x.Day)}
		for _, h := range x.Hours {
			i.Hours = append(i.Hours, [2]string{clockTime(h.From), clockTime(h.To)})
		}
		b.Seasons = append(b.Seasons, i)
	}
	for _, d := range slices.SortedFunc(maps.Keys(cal.Overrides), calendar.Date.Compare) {
		b.Days = append(b.Days, OwnDay{d.String(), cal.Overrides[d], c.Notes[d]})
	}
	for _, level := range slices.Sorted(maps.Keys(c.Levels)) {
		b.Levels = append(b.Levels, LevelItem{level, limitItem(c.Levels[level])})
	}
	for i, o := range c.Ladder {
		b.Ladder = append(b.Ladder, LadderItem{i + 1, orNoLimit(o.Remind), orNoLimit(o.Supervise), limitItem(o.Reply)})
	}
	return out
}

func (s *Server) getCalendar(context.Context, caller, *struct{}) (*calendarOutput, error) {
	return calendarOf(s.o.Catalogue.Now().Clocks), nil
}

// clocksOf reads what was sent; what cannot be used is a problem that says why.
func clocksOf(in CalendarInput) (store.Clocks, error) {
	c := store.Clocks{Notes: map[calendar.Date]string{}, Levels: dispatch.Limits{}}
	c.Calendar.NoOfficeHours = !in.OfficeHours
	var wrong []string
	minute := func(t string) int {
		m, err := minuteOf(t)
		if err != nil {
			wrong = append(wrong, err.Error())
		}
		return m
	}
	if in.LateFrom != "" {
		c.Calendar.LateFrom = minute(in.LateFrom)
	}
	if in.LateUntil != "" {
		c.Calendar.LateUntil = minute(in.LateUntil)
	}
	for _, x := range in.Seasons {
		month, day, _ := strings.Cut(x.From, "-")
		m, _ := strconv.Atoi(month)
		d, _ := strconv.Atoi(day)
		season := calendar.Season{Month: time.Month(m), Day: d}
		for _, h := range x.Hours {
			season.Hours = append(season.Hours, calendar.Span{From: minute(h[0]), To: minute(h[1])})
		}
		c.Calendar.Seasons = append(c.Calendar.Seasons, season)
	}
	for _, x := range in.Days {
		d, err := calendar.ParseDate(x.Day)
		if _, twice := c.Calendar.Overrides[d]; err == nil && twice {
			err = fmt.Errorf("%s is named twice", x.Day)
		}
		if err != nil {
			wrong = append(wrong, err.Error())
			continue
		}
		if c.Calendar.Overrides == nil {
			c.Calendar.Overrides = map[calendar.Date]bool{}
		}
		c.Calendar.Overrides[d] = x.Working
		if x.Note != "" {
			c.Notes[d] = x.Note
		}
	}
	limit := func(i *LimitItem) dispatch.Limit {
		if i == nil {
			return dispatch.Limit{}
		}
		return dispatch.Limit{Value: i.Value, Unit: calendar.Unit(i.Unit)}
	}
	for _, x := range in.Levels {
		if _, twice := c.Levels[x.Level]; twice {
			wrong = append(wrong, fmt.Sprintf("level %d is named twice", x.Level))
		}
		c.Levels[x.Level] = limit(&x.LimitItem)
	}
	seen := map[int]bool{}
	for _, x := range in.Ladder {
		if seen[x.Priority] {
			wrong = append(wrong, fmt.Sprintf("priority %d is named twice", x.Priority))
		}
		seen[x.Priority] = true
		c.Ladder[x.Priority-1] = dispatch.Offsets{Remind: limit(x.Remind), Supervise: limit(x.Supervise), Reply: limit(&x.Reply)}
	}
	if len(wrong) == 0 {
		if err := c.Check(); err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	if len(wrong) > 0 {
		return c, problem(http.StatusUnprocessableEntity, strings.Join(wrong[:min(len(wrong), 20)], "; "))
	}
	return c, nil
}

// minuteOf reads a time of day, 00:00 to 24:00, as minutes after midnight.
func minuteOf(s string) (int, error) {
	h, m, ok := strings.Cut(s, ":")
	hour, err1 := strconv.Atoi(h)
	min, err2 := strconv.Atoi(m)
	if !ok || len(s) != 5 || err1 != nil || err2 != nil || hour < 0 || min < 0 || min > 59 || hour*60+min > 1440 {
		return 0, fmt.Errorf("%q is no time of day: write it as 08:30", s)
	}
	return hour*60 + min, nil
}

func (s *Server) changeCalendar(ctx context.Context, a caller, in *calendarInput) (*calendarOutput, error) {
	if in.IfMatch == "" {
		return nil, problem(http.StatusPreconditionRequired, "send the revision you saw in If-Match, for example If-Match: \"3\"")
	}
	seen, err := strconv.Atoi(strings.Trim(in.IfMatch, "\""))
	if err != nil {
		return nil, problem(http.StatusBadRequest, "If-Match must be one revision number in quotes")
	}
	c, err := clocksOf(in.Body)
	if err == nil {
		err = s.countsForAll(ctx, a, "the calendar is")
	}
	if err != nil {
		return nil, err
	}
	now := s.o.Now()
	err = s.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		was, err := store.HoldClocks(ctx, tx)
		if err != nil {
			return err
		}
		if was.Calendar.Revision != seen {
			return problem(http.StatusConflict, fmt.Sprintf("the calendar is at revision %d, not %d: read it again", was.Calendar.Revision, seen))
		}
		if c.Calendar.Revision, err = store.SaveClocks(ctx, tx, c, a.ID, now); err != nil {
			return err
		}
		data := map[string]any{"before": calendarOf(was).Body, "after": calendarOf(c).Body}
		if err := ledger.Audit(ctx, tx, a.Actor, requestID(ctx), "calendar.changed", "calendar", "", data); err != nil {
			return err
		}
		return ledger.ClocksChanged(ctx, tx, now)
	})
	if err != nil {
		return nil, err
	}
	s.o.Ledger.Wake()
	return calendarOf(c), nil
}

// countsForAll reports whether a setting, which all counties of the database share, is the
// caller's to change. what names it, with its verb.
func (s *Server) countsForAll(ctx context.Context, a caller, what string) error {
	if realmOf(ctx, a.Actor, a.Decision).everywhere || len(s.o.Catalogue.Now().Tree.Roots()) < 2 {
		return nil
	}
	return problem(http.StatusForbidden, what+" that of several counties: an administrator of all of them changes it")
}

func (s *Server) previewCalendar(ctx context.Context, a caller, in *struct{ Body CalendarInput }) (*previewOutput, error) {
	c, err := clocksOf(in.Body)
	if err == nil {
		err = s.countsForAll(ctx, a, "the calendar is")
	}
	if err != nil {
		return nil, err
	}
	p, err := s.o.Ledger.PreviewClocks(ctx, a.Actor, c)
	if err != nil {
		return nil, err
	}
	out := &previewOutput{CalendarPreview{
		Examined: p.Examined, Moved: p.Moved, Sooner: p.Sooner, Later: p.Later, LateThen: p.LateThen, InTime: p.InTime, Moves: []DueMove{},
	}}
	for _, m := range p.Moves[:min(len(p.Moves), shownMoves)] {
		out.Body.Moves = append(out.Body.Moves, DueMove(m))
	}
	return out, nil
}

const shownMoves = 200

func (s *Server) recalculate(ctx context.Context, a caller, in *recalculateInput) (*recalculateOutput, error) {
	reason, unclean := intake.Clean(in.Body.Reason)
	if unclean != "" {
		return nil, problem(http.StatusBadRequest, "reason "+unclean)
	}
	if strings.TrimSpace(reason) == "" {
		return nil, dispatch.ErrReasonMissing
	}
	if err := s.countsForAll(ctx, a, "the calendar is"); err != nil {
		return nil, err
	}
	out := &recalculateOutput{}
	var err error
	out.Body.Moved, out.Body.Done, err = s.o.Ledger.Recount(ctx, a.Actor, requestID(ctx), reason, recountFor)
	return out, err
}

// recountFor is how long a request counts anew; what is left is for the next one.
const recountFor = 3 * time.Second
