// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/dispatch/calendar"
	"onemap/geo/gazetteer"
	"onemap/intake"
	"onemap/store"
	"onemap/store/ledger"
)

func (s *Server) incidents() {
	route(s, need{auth.Write, auth.IncidentData}, huma.Operation{
		OperationID: "report-incident", Method: http.MethodPost, Path: "/api/v1/incidents", Tags: []string{"incidents"},
		Summary: "Report an incident", DefaultStatus: http.StatusCreated, Errors: []int{409, 422},
		Description: "Exactly once for each Idempotency-Key and each (source, external_id): a repetition answers the first incident. " +
			"A report is taken wherever it lies, also beyond its sender's own grids; those who handle that place see it. " +
			"With an address and no location the address is looked up among the places its sender may know: one that is sure is taken and told in found; " +
			"else the report is taken without a place and told the candidates. With unsure: ask nothing is stored, 422 tells the candidates, and the Idempotency-Key may be used again with the place confirmed as location.",
	}, s.reportIncident)
	route(s, need{auth.Read, auth.IncidentData}, huma.Operation{
		OperationID: "list-incidents", Method: http.MethodGet, Path: "/api/v1/incidents", Tags: []string{"incidents"},
		Summary: "List incidents, newest report first; also as application/geo+json", Errors: []int{422},
		Responses: s.listOrFeatures(reflect.TypeFor[IncidentList]()),
	}, s.listIncidents)
	route(s, need{auth.Read, auth.IncidentData}, huma.Operation{
		OperationID: "get-incident", Method: http.MethodGet, Path: "/api/v1/incidents/{id}", Tags: []string{"incidents"},
		Summary: "One incident", Errors: []int{404},
	}, s.getIncident)
	route(s, need{auth.Read, auth.Journal}, huma.Operation{
		OperationID: "get-journal", Method: http.MethodGet, Path: "/api/v1/incidents/{id}/journal", Tags: []string{"incidents"},
		Summary: "Every act on an incident, oldest first", Errors: []int{404},
	}, s.getJournal)
	route(s, need{auth.Write, auth.IncidentData}, huma.Operation{
		OperationID: "act-on-incident", Method: http.MethodPost, Path: "/api/v1/incidents/{id}/actions", Tags: []string{"incidents"},
		Summary: "Move an incident on", Errors: []int{404, 409, 422, 428},
		Description: "409 with what is possible now where the state does not allow the act, and with the reason where the circumstances do not; 422 names what the act lacks. docs/INCIDENTS.md has the whole table.",
	}, s.actOnIncident)
}

// LocationInput is a place with its datum.
type LocationInput struct {
	Lon float64 `json:"lon" doc:"The first number of the pair: longitude, degrees east, unless crs says otherwise"`
	Lat float64 `json:"lat" doc:"The second number: latitude, degrees north, unless crs says otherwise"`
	CRS string  `json:"crs" maxLength:"40" doc:"What lon and lat are: wgs84, gcj02, bd09, cgcs2000, or EPSG:4490 to EPSG:4554 with -en (easting first) or -ne (northing first). There is no default"`
}

// ReporterInput is who reported. All fields are personal: they are sealed and
// never appear in lists, events or logs.
type ReporterInput struct {
	Name  string `json:"name,omitempty" maxLength:"100"`
	Phone string `json:"phone,omitempty" maxLength:"40"`
	// IDNumber is asked for only where the law wants it.
	IDNumber string `json:"id_number,omitempty" maxLength:"30" doc:"Number of an identity card; leave it out unless the matter needs it"`
}

// IncidentInput is a report.
type IncidentInput struct {
	Category   string         `json:"category" maxLength:"16"`
	Title      string         `json:"title" maxLength:"200"`
	Text       string         `json:"text,omitempty" maxLength:"5000"`
	Priority   int            `json:"priority,omitempty" minimum:"1" maximum:"4" doc:"1 is most urgent; the category's when left out"`
	Location   *LocationInput `json:"location,omitempty"`
	Address    string         `json:"address,omitempty" maxLength:"300" doc:"Without location the place is looked up by it, see docs/PLACES.md; with location it is kept beside it"`
	Unsure     string         `json:"unsure,omitempty" enum:"keep,approximate,ask" doc:"Of a report by its address alone that fits no place for sure: keep takes it without a place and tells the candidates, as when left out; approximate takes the village or town, or the rough place, where one is known, with the accuracy told in found; ask refuses it and tells the candidates"`
	ReportedAt *time.Time     `json:"reported_at,omitempty"`
	OccurredAt *time.Time     `json:"occurred_at,omitempty"`
	Source     string         `json:"source,omitempty" enum:"phone,field,hotline,petition,app,device"`
	ExternalID string         `json:"external_id,omitempty" maxLength:"200" doc:"The source's own number; unique within the source"`
	Reporter   *ReporterInput `json:"reporter,omitempty"`
	Limit      *LimitInput    `json:"limit,omitempty" doc:"That the letter of a petition or a hotline came with: it wins over the category's and the level's"`
}

// LimitInput is how long something may take.
type LimitInput struct {
	Value int    `json:"value" minimum:"1" maximum:"8784"`
	Unit  string `json:"unit" enum:"nh,wh,wd,sd,cd" doc:"Natural hours, working hours, working days, the same day, calendar days"`
}

type reportInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"255" doc:"Makes a repetition of the same request safe"`
	Body IncidentInput
}

// Incident is an incident in the case view.
type Incident struct {
	store.PublicIncident
	Notes      []string    `json:"notes,omitempty" doc:"What the sender should know about the place"`
	Candidates []PlaceItem `json:"candidates,omitempty" doc:"Of a report without a place, by its address: the places that it may mean, the likeliest first"`
	Repeated   bool        `json:"repeated,omitempty" doc:"An earlier request made this incident"`

	Door     string        `json:"door,omitempty" doc:"Of one that was refused or transferred, asked for by itself: where the reporter should go instead"`
	Possible []PossibleAct `json:"possible,omitzero" required:"false" doc:"Of an incident that is asked for by itself: the acts that the asker may take now"`
}

type incidentOutput struct {
	ETag     string `header:"ETag"`
	Location string `header:"Location"`
	Body     Incident
}

// gridTries is how often a report is placed anew when the grids change under it.
const gridTries = 3

func (s *Server) reportIncident(ctx context.Context, a caller, in *reportInput) (*incidentOutput, error) {
	var last error
	for range gridTries {
		seen := s.o.Catalogue.Now()
		request := sha256.Sum256(append([]byte("report\n"), bodyOf(ctx)...))
		placed, err := intake.Run(s.intakeEnv(a.Actor), intakeReport(in.Body))
		if err != nil {
			return s.unplaced(ctx, a, in, request, err)
		}
		r := &ledger.Report{Report: placed.Report}
		if p := in.Body.Reporter; p != nil {
			r.Reporter = store.Reporter{Name: p.Name, Phone: p.Phone, IDNumber: p.IDNumber}
		}
		res, err := s.o.Ledger.Do(ctx, a.Actor, ledger.Command{
			Key: in.Key, Request: request, RequestID: requestID(ctx), Report: r,
		})
		if last = err; err == nil {
			out, err := s.resultAnswer(ctx, res)
			if err == nil {
				out.Body.Notes, out.Body.Repeated = placed.Notes, res.Repeated
				for _, c := range placed.Candidates {
					out.Body.Candidates = append(out.Body.Candidates, placeItem(c))
				}
			}
			return out, err
		}
		if !isGridsChanged(err) {
			break
		}
		if err := s.o.Catalogue.Renew(ctx, seen); err != nil {
			return nil, err
		}
	}
	return nil, last
}

// unplaced answers a report that intake refused. One that was taken before, when its
// address was known or doubtful to nobody, is answered as ever.
func (s *Server) unplaced(ctx context.Context, a caller, in *reportInput, request [sha256.Size]byte, refused error) (*incidentOutput, error) {
	var why intake.Problems
	if !errors.As(refused, &why) || !slices.ContainsFunc(why, func(p intake.Problem) bool { return p.Unplaced }) {
		return nil, refused
	}
	source := in.Body.Source
	if source == "" {
		source = intake.DefaultSource
	}
	res, known, err := s.o.Ledger.Earlier(ctx, a.Actor, ledger.Command{
		Key: in.Key, Request: request, Report: &ledger.Report{Report: dispatch.Report{Source: source, ExternalID: in.Body.ExternalID}},
	})
	switch {
	case err != nil:
		return nil, err
	case !known:
		return nil, refused
	}
	out, err := s.resultAnswer(ctx, res)
	if err == nil {
		out.Body.Repeated = true
	}
	return out, err
}

func intakeReport(b IncidentInput) intake.Report {
	r := intake.Report{
		Category: b.Category, Title: b.Title, Text: b.Text, Priority: b.Priority, Source: b.Source, ExternalID: b.ExternalID,
		Address: b.Address, Approximate: b.Unsure == "approximate", Unplaced: b.Unsure != "ask", OccurredAt: b.OccurredAt, ReportedAt: b.ReportedAt,
	}
	if l := b.Location; l != nil {
		r.Lon, r.Lat, r.CRS = &l.Lon, &l.Lat, l.CRS
	}
	if l := b.Limit; l != nil {
		r.Limit = &dispatch.Limit{Value: l.Value, Unit: calendar.Unit(l.Unit)}
	}
	return r
}

// intakeEnv is what the stages look things up in. A report outside every grid
// belongs to the first county its sender reaches.
func (s *Server) intakeEnv(a auth.Actor) intake.Env {
	cat := s.o.Catalogue.Now()
	env := intake.Env{Tree: cat.Tree, Categories: cat.Categories, Departments: cat.Departments, Now: s.o.Now(), Find: func(string) []gazetteer.Candidate { return nil }}
	if d, err := auth.Decide(a, auth.Read, auth.PlaceData); err == nil {
		env.Find = func(address string) []gazetteer.Candidate {
			return s.o.Places().Search(address, gazetteer.Options{Sees: d.Scope.Sees, Limit: 40, Areas: true})
		}
	}
	for i, n := range cat.Tree.Nodes() {
		if a.Home(n.No) {
			env.Root = cat.Tree.Path(i)[0]
			break
		}
	}
	return env
}

// resultAnswer is the answer to a change. Of what is out of its caller's sight by
// now, only the id is told.
func (s *Server) resultAnswer(ctx context.Context, res ledger.Result) (*incidentOutput, error) {
	if res.Hidden {
		id := res.Incident.ID
		return &incidentOutput{
			Location: fmt.Sprintf("/api/v1/incidents/%d", id),
			Body:     Incident{PublicIncident: store.PublicIncident{ID: fmt.Sprint(id), Number: store.IncidentNumber(id), Grid: store.GridPath{Path: []store.GridRef{}}}},
		}, nil
	}
	return s.incidentAnswer(ctx, res.Incident, auth.CaseView)
}

func (s *Server) incidentAnswer(ctx context.Context, in store.Incident, v auth.View) (*incidentOutput, error) {
	p, err := s.o.Catalogue.Public(ctx, in, v)
	if err != nil {
		return nil, err
	}
	return &incidentOutput{
		ETag: strconv.Quote(strconv.Itoa(in.Version)), Location: fmt.Sprintf("/api/v1/incidents/%d", in.ID),
		Body: Incident{PublicIncident: p},
	}, nil
}

type incidentID struct {
	ID int64 `path:"id" minimum:"1"`
}

func (s *Server) getIncident(ctx context.Context, a caller, in *incidentID) (*incidentOutput, error) {
	row, err := s.reads(a).Incident(ctx, a.Scope, a.View, in.ID)
	if err != nil {
		return nil, err
	}
	out, err := s.incidentAnswer(ctx, row, a.View)
	if err != nil || a.View != auth.CaseView {
		return out, err
	}
	return out, s.ahead(ctx, a, row, &out.Body)
}

// JournalItem is one act in an incident's life.
type JournalItem struct {
	N        int        `json:"n"`
	Version  int        `json:"version"`
	Kind     string     `json:"kind"`
	From     string     `json:"from,omitempty"`
	To       string     `json:"to,omitempty"`
	Actor    string     `json:"actor"`
	At       time.Time  `json:"at" doc:"The server's time of the act"`
	DeviceAt *time.Time `json:"device_at" doc:"The actor's own clock, where it was told"`
	Reason   string     `json:"reason,omitempty"`

	Moved *store.GridMove `json:"moved,omitempty" doc:"Where a redraw of the grids took it from and to"`
	Data  map[string]any  `json:"data,omitempty" doc:"What else the act brought: level, due, door, into, what was corrected; of a remark its number; of archive the SHA-256 of the dossier"`
	By    *store.Office   `json:"by,omitempty" doc:"The office in which the actor acted then, without a person's name; absent for who reads no case, and of what the server did itself"`
}

type journalOutput struct {
	Body struct {
		Items []JournalItem `json:"items"`
	}
}

func (s *Server) getJournal(ctx context.Context, a caller, in *incidentID) (*journalOutput, error) {
	rows, err := s.reads(a).Journal(ctx, a.Scope, a.View, in.ID)
	if err != nil {
		return nil, err
	}
	out := &journalOutput{}
	out.Body.Items = make([]JournalItem, len(rows))
	for i, r := range rows {
		if a.View != auth.CaseView {
			r.Reason, r.Moved, r.Data = "", nil, nil // they tell of the case
		}
		out.Body.Items[i] = JournalItem{r.N, r.Version, r.Kind, r.From, r.To, r.Actor, r.At, r.DeviceAt, r.Reason, r.Moved, r.Data, nil}
	}
	if a.View != auth.CaseView {
		return out, nil
	}
	return out, s.tellOffices(ctx, a, out.Body.Items)
}

// tellOffices says of each act in what office it was done.
func (s *Server) tellOffices(ctx context.Context, a caller, items []JournalItem) error {
	actors := make([]string, len(items))
	for i, it := range items {
		actors[i] = it.Actor
	}
	slices.Sort(actors)
	held, err := s.reads(a).OfficesOf(ctx, slices.Compact(actors))
	for i, it := range items {
		if o, ok := held.At(it.Actor, it.At); ok {
			items[i].By = &o
		}
	}
	return err
}

type actInput struct {
	ID      int64  `path:"id" minimum:"1"`
	IfMatch string `header:"If-Match" doc:"The incident's version as its ETag gave it, in quotes"`
	Key     string `header:"Idempotency-Key" maxLength:"255"`
	Body    struct {
		Action     string         `json:"action" enum:"accept,refuse,route,acknowledge,arrive,resolve,verify,rework,close,archive,return,reassign,escalate,delegate,suspend,resume,merge,transfer,void,reopen,correct"`
		Reason     string         `json:"reason,omitempty" maxLength:"1000" doc:"Why; of resolve what was done"`
		DeviceAt   *time.Time     `json:"at,omitempty" doc:"The actor's own clock"`
		Level      int            `json:"level,omitempty" minimum:"1" maximum:"6" doc:"Of route, reassign, delegate: the level of its grids that is to own it; as it is when left out"`
		Department string         `json:"department,omitempty" maxLength:"100" doc:"Of route, reassign, delegate: the lead department by its name; as it is when left out"`
		Wrong      bool           `json:"wrong,omitempty" doc:"Of route, reassign: it had been sent to the wrong one, whose time does not count"`
		Door       string         `json:"door,omitempty" maxLength:"200" doc:"Of refuse, transfer: where the reporter should go instead; refuse needs it, or door_department"`
		DoorDept   string         `json:"door_department,omitempty" maxLength:"100" doc:"Of refuse, transfer: the department of this centre where the reporter should go, by its name"`
		Until      time.Time      `json:"until,omitempty" doc:"Of suspend: when it is looked at again"`
		Into       string         `json:"into,omitempty" maxLength:"19" pattern:"^[1-9][0-9]*$" doc:"Of merge: id of the incident that goes on"`
		Priority   int            `json:"priority,omitempty" minimum:"1" maximum:"4" doc:"Of correct"`
		Category   string         `json:"category,omitempty" maxLength:"16" doc:"Of correct"`
		Location   *LocationInput `json:"location,omitempty" doc:"Of correct: where it really is"`
	}
}

func (s *Server) actOnIncident(ctx context.Context, a caller, in *actInput) (*incidentOutput, error) {
	version, err := versionOf(in.IfMatch)
	if err != nil {
		return nil, err
	}
	reason, unclean := intake.Clean(in.Body.Reason)
	if unclean != "" {
		return nil, problem(http.StatusBadRequest, "reason "+unclean)
	}
	var last error
	for range gridTries { // a corrected place is placed anew when the grids change under it
		seen := s.o.Catalogue.Now()
		act, err := s.actOf(a, in)
		if err != nil {
			return nil, err
		}
		act.Reason = reason
		res, err := s.o.Ledger.Do(ctx, a.Actor, ledger.Command{
			Key: in.Key, Request: sha256.Sum256([]byte(fmt.Sprintf("act %d %d\n%s", in.ID, version, bodyOf(ctx)))), RequestID: requestID(ctx),
			Act: &ledger.Act{Incident: in.ID, Version: version, Act: act},
		})
		if last = err; err == nil {
			out, err := s.resultAnswer(ctx, res)
			if err == nil {
				out.Body.Repeated = res.Repeated
			}
			return out, err
		}
		if !isGridsChanged(err) {
			break
		}
		if err := s.o.Catalogue.Renew(ctx, seen); err != nil {
			return nil, err
		}
	}
	return nil, last
}

// actOf reads what an act brings with it.
func (s *Server) actOf(a caller, in *actInput) (dispatch.Act, error) {
	b := in.Body
	act := dispatch.Act{
		Action: dispatch.Action(b.Action), DeviceAt: b.DeviceAt, Level: b.Level, Wrong: b.Wrong, Until: b.Until, Priority: b.Priority,
	}
	var unclean string
	if act.Door, unclean = intake.Clean(b.Door); unclean != "" {
		return act, problem(http.StatusBadRequest, "door "+unclean)
	}
	cat := s.o.Catalogue.Now()
	for _, d := range []struct {
		name string
		id   *int64
	}{{b.Department, &act.Department}, {b.DoorDept, &act.DoorOf}} {
		if d.name == "" {
			continue
		}
		var err error
		if *d.id, err = s.department(d.name); err != nil {
			return act, err
		}
	}
	if strings.TrimSpace(act.Door) == "" {
		act.Door = b.DoorDept
	}
	if b.Into != "" {
		act.Into, _ = strconv.ParseInt(b.Into, 10, 64) // more than an id holds is no incident
		act.Into = max(act.Into, 1)
	}
	if b.Category != "" {
		c, ok := cat.Categories[b.Category]
		if !ok || c.Parent == "" {
			return act, problem(http.StatusUnprocessableEntity, fmt.Sprintf("there is no category %q to report by", b.Category))
		}
		act.Category = &c
		if act.Department == 0 {
			act.Department = cat.Departments[c.LeadDept]
		}
	}
	if l := b.Location; l != nil {
		placed, err := intake.Place(s.intakeEnv(a.Actor), intake.Report{Lon: &l.Lon, Lat: &l.Lat, CRS: l.CRS})
		if err != nil {
			return act, err
		}
		act.Place = &placed
	}
	return act, nil
}
