// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/intake"
	"onemap/store"
	"onemap/store/ledger"
)

func TestAReportLeavesStateJournalAuditAndEventTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	res := w.report(t, "0301", 0.5, 0.5, ledger.Command{RequestID: "r-1"})
	in, err := w.db.Incident(t.Context(), w.county, auth.CaseView, res.Incident.ID)
	if err != nil {
		t.Fatal(err)
	}
	if in.State != dispatch.Reported || in.Place.Kind != dispatch.InGrid || in.Place.GridLevel != 2 || in.AckDue == nil || in.StageDue == nil {
		t.Fatalf("incident %+v", in)
	}
	for table, where := range map[string]string{
		"incident_journal": fmt.Sprintf("incident_id = %d AND kind = 'report' AND to_state = 'reported'", in.ID),
		"audit_log":        "action = 'incident.report' AND request_id = 'r-1' AND object = 'incident/" + fmt.Sprint(in.ID) + "'",
		"outbox":           "kind = 'incident.opened' AND entity_id = '" + fmt.Sprint(in.ID) + "'",
	} {
		if n := w.count(t, table, where); n != 1 {
			t.Errorf("%s has %d rows, want 1", table, n)
		}
	}
}

func TestTheReporterIsSealedAndNowhereInTheClear(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := ledger.Command{Report: w.placed(t, "0301", 0.5, 0.5)}
	c.Report.Reporter = store.Reporter{Name: "canary-name", Phone: "13800001234"}
	res, err := w.led.Do(t.Context(), w.operator, c)
	if err != nil {
		t.Fatal(err)
	}
	w.sequence(t)
	var dump string
	err = w.db.Pool.QueryRow(t.Context(), `SELECT (SELECT string_agg(x::text, '') FROM incident x) || (SELECT string_agg(x::text, '') FROM feed x) ||
		(SELECT string_agg(x::text, '') FROM audit_log x) || (SELECT string_agg(x::text, '') FROM incident_journal x) ||
		(SELECT string_agg(x::text, '') FROM live_state x) || (SELECT encode(name_sealed || phone_sealed || phone_hash, 'escape') FROM reporter)`).Scan(&dump)
	if err != nil {
		t.Fatal(err)
	}
	for _, canary := range []string{"canary-name", "13800001234"} {
		if contains(dump, canary) {
			t.Errorf("%q stands in the clear", canary)
		}
	}
	var name []byte
	if err := w.db.Pool.QueryRow(t.Context(), "SELECT name_sealed FROM reporter WHERE incident_id = $1", res.Incident.ID).Scan(&name); err != nil {
		t.Fatal(err)
	}
	if got, err := w.seal.Open(fmt.Sprintf("reporter/%d/1/name", res.Incident.ID), name); err != nil || got != "canary-name" {
		t.Fatalf("opened %q, %v", got, err)
	}
}

func TestTheSameKeyOpensOneIncidentHoweverOftenItIsSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := sha256.Sum256([]byte("body"))
	ids := make(chan int64, 20)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			res, err := w.led.Do(context.Background(), w.operator, ledger.Command{Key: "k", Request: body, Report: w.placed(t, "0301", 0.5, 0.5)})
			if err != nil {
				t.Error(err)
			}
			ids <- res.Incident.ID
		})
	}
	wg.Wait()
	close(ids)
	first := <-ids
	for id := range ids {
		if id != first {
			t.Errorf("answers name incidents %d and %d", first, id)
		}
	}
	if n := w.count(t, "incident", "true"); n != 1 {
		t.Errorf("%d incidents, want 1", n)
	}
	_, err := w.led.Do(t.Context(), w.operator, ledger.Command{Key: "k", Request: sha256.Sum256([]byte("other")), Report: w.placed(t, "0301", 0.5, 0.5)})
	if !errors.Is(err, ledger.ErrKeyReused) {
		t.Errorf("same key with another body: %v", err)
	}
}

func TestTheSameExternalIDAnswersTheFirstIncident(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	send := func() ledger.Result {
		r := w.placed(t, "0301", 0.5, 0.5)
		r.Source, r.ExternalID = "hotline", "H-77"
		res, err := w.led.Do(t.Context(), w.operator, ledger.Command{Report: r})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	a, b := send(), send()
	if a.Repeated || !b.Repeated || a.Incident.ID != b.Incident.ID {
		t.Fatalf("first %d repeated=%t, second %d repeated=%t", a.Incident.ID, a.Repeated, b.Incident.ID, b.Repeated)
	}
	if n := w.count(t, "outbox", "true"); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

func TestAnExternalIDOfAnotherTownOpensNoWindowOnItsIncident(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	send := func(actor auth.Actor, lon float64) (ledger.Result, error) {
		r := w.placed(t, "0301", lon, 0.5)
		r.Source, r.ExternalID = "hotline", "H-78"
		return w.led.Do(t.Context(), actor, ledger.Command{Key: fmt.Sprintf("key %v", lon), Report: r})
	}
	west, east := w.townActor(t, "W"), w.townActor(t, "E")
	first, err := send(west, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := send(east, 1.5); !errors.Is(err, ledger.ErrElsewhere) || got.Incident.ID != 0 {
		t.Errorf("the other town got incident %d, %v", got.Incident.ID, err)
	}
	if got, err := send(w.operator, 0.6); err != nil || got.Incident.ID != first.Incident.ID {
		t.Errorf("the hall got incident %d, %v", got.Incident.ID, err)
	}
	if n := w.count(t, "idempotency", "actor = 'token:E'"); n != 0 {
		t.Errorf("%d keys of the refused report were kept", n)
	}
}

func TestWhoReportedOutsideItsGridsIsAnsweredTheSameAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	west := w.townActor(t, "W")
	var ids []int64
	for range 2 {
		r := w.placed(t, "0301", 1.5, 0.5)
		r.Source, r.ExternalID = "hotline", "H-79"
		res, err := w.led.Do(t.Context(), west, ledger.Command{Report: r})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, res.Incident.ID)
	}
	if ids[0] != ids[1] {
		t.Errorf("incidents %v", ids)
	}
}

func TestAnIncidentWalksTheMachineAndRefusesEveryOtherStep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	res := w.report(t, "0301", 0.5, 0.5, ledger.Command{})
	id, v := res.Incident.ID, 1
	for _, step := range []struct {
		action dispatch.Action
		to     dispatch.State
	}{
		{dispatch.Accept, dispatch.Accepted},
		{dispatch.Route, dispatch.Routed},
		{dispatch.Acknowledge, dispatch.Acknowledged},
		{dispatch.Arrive, dispatch.OnScene},
		{dispatch.Resolve, dispatch.Resolved},
		{dispatch.Verify, dispatch.Verified},
		{dispatch.Close, dispatch.Closed},
	} {
		for _, other := range dispatch.Actions() { // whatever the state does not allow changes nothing
			possible := false
			for _, p := range dispatch.Possible(w.state(t, id), auth.HallOperator) {
				possible = possible || p == other
			}
			if possible {
				continue
			}
			_, err := w.act(id, v, other, "because")
			var se *dispatch.StateError
			var re *dispatch.RoleError
			if !errors.As(err, &se) && !errors.As(err, &re) {
				t.Fatalf("%s while %s: %v", other, w.state(t, id), err)
			}
		}
		if _, err := w.act(id, v+1, step.action, ""); !isVersion(err) {
			t.Fatalf("%s against a version not yet there: %v", step.action, err)
		}
		got, err := w.act(id, v, step.action, "")
		if err != nil || got.Incident.State != step.to {
			t.Fatalf("%s: state %s, %v", step.action, got.Incident.State, err)
		}
		v++
	}
	w.sequence(t)
	if n := w.count(t, "incident_journal", fmt.Sprintf("incident_id = %d", id)); n != 8 {
		t.Errorf("%d journal entries, want 8", n)
	}
	if n := w.count(t, "live_state", "kind = 'incident'"); n != 0 {
		t.Errorf("a closed incident is still in the live state")
	}
	if _, err := w.db.Pool.Exec(t.Context(), "UPDATE incident_journal SET reason = 'x'"); err == nil {
		t.Error("the journal let itself be changed")
	}
	if _, err := w.db.Pool.Exec(t.Context(), "TRUNCATE audit_log"); err == nil {
		t.Error("the audit log let itself be emptied")
	}
}

func TestTwoWhoActAtOnceGetOneWinner(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 20 {
		id := w.report(t, "0301", 0.5, 0.5, ledger.Command{}).Incident.ID
		won, lost := 0, 0
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				_, err := w.act(id, 1, dispatch.Accept, "")
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					won++
				case isVersion(err):
					lost++
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won != 1 || lost != 5 {
			t.Fatalf("%d won and %d were told so", won, lost)
		}
	}
}

func TestRolesAndScopesHoldInTheLedger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.report(t, "0301", 0.5, 0.5, ledger.Command{}).Incident.ID // in the west
	wall := auth.NewActor(auth.Grant{ID: "wall:a", Role: auth.Wall, Intervals: w.county.Intervals()})
	if _, err := w.led.Do(t.Context(), wall, ledger.Command{Report: w.placed(t, "0301", 0.5, 0.5)}); !errors.Is(err, auth.ErrForbidden) {
		t.Errorf("a wall reported: %v", err)
	}
	east := w.townActor(t, "E")
	_, err := w.led.Do(t.Context(), east, ledger.Command{Act: &ledger.Act{Incident: id, Version: 1, Act: dispatch.Act{Action: dispatch.Accept}}})
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the neighbour town acted: %v", err)
	}
	if _, err := w.db.Incident(t.Context(), scopeOf(east), auth.CaseView, id); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the neighbour town read it: %v", err)
	}
	var none auth.Scope
	if got, err := w.db.Incidents(t.Context(), none, auth.CaseView, store.IncidentFilter{Limit: 10}); err != nil || len(got) != 0 {
		t.Errorf("the zero scope saw %d incidents, %v", len(got), err)
	}
}

func TestAReplacedGridVersionIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.placed(t, "0301", 0.5, 0.5)
	if _, err := w.db.Pool.Exec(t.Context(), "UPDATE grid_version SET state = 'retired', retired_at = now()"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.led.Do(t.Context(), w.operator, ledger.Command{Report: r}); !errors.Is(err, ledger.ErrGridsChanged) {
		t.Fatalf("got %v", err)
	}
}

func TestHistoryGoesInByBatchesOnceOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := w.now.Add(-48 * time.Hour)
	past := func(n int) []ledger.Past {
		var out []ledger.Past
		for i := range n {
			res, err := intake.Run(w.env(), intake.Report{
				Category: "0301", Title: "旧事件", Source: "old", ExternalID: fmt.Sprint(i), Lon: ptr(float64(i%20) / 10), Lat: ptr(0.5), CRS: "wgs84", ReportedAt: &at,
			})
			if err != nil {
				t.Fatal(err)
			}
			p := ledger.Past{Incident: store.Incident{
				Incident: dispatch.Open(res.Report, w.cal, at).After, Title: res.Title, Source: res.Source, ExternalID: res.ExternalID, Place: res.Place,
			}}
			if i%10 != 0 {
				p.State, p.ClosedAt = dispatch.Closed, &at
				p.Steps = []ledger.PastStep{{Kind: "report", To: "reported", Actor: "old", At: at}, {Kind: "close", From: "reported", To: "closed", Actor: "old", At: at}}
			}
			out = append(out, p)
		}
		return out
	}
	first, err := w.led.History().Import(t.Context(), auth.SystemActor("test"), "file", past(100), nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := w.led.History().Import(t.Context(), auth.SystemActor("test"), "file", past(150), nil)
	if err != nil {
		t.Fatal(err)
	}
	// One import whose source was blank at its start, and that somebody else joins.
	h := w.led.History()
	mine := func(from, to int) []ledger.Past {
		out := past(to)[from:]
		for i := range out {
			out[i].Source = "blank"
		}
		return out
	}
	for _, step := range []struct {
		batch           []ledger.Past
		fresh, repeated int
	}{{mine(0, 10), 10, 0}, {mine(5, 15), 5, 5}} {
		if got, err := h.Import(t.Context(), auth.SystemActor("test"), "file", step.batch, nil); err != nil || len(got.Fresh) != step.fresh || got.Repeated != step.repeated {
			t.Fatalf("%d fresh, %d repeated, %v", len(got.Fresh), got.Repeated, err)
		}
	}
	if _, err := w.led.History().Import(t.Context(), auth.SystemActor("somebody"), "else", mine(15, 18), nil); err != nil {
		t.Fatal(err)
	}
	if got, err := h.Import(t.Context(), auth.SystemActor("test"), "file", mine(12, 22), nil); err != nil || len(got.Fresh) != 4 || got.Repeated != 6 {
		t.Fatalf("%d fresh, %d repeated, %v", len(got.Fresh), got.Repeated, err)
	}
	// Reports go on while a batch is written, and one that the grids change under is not kept.
	held := mine(22, 42)
	_, err = h.Import(t.Context(), auth.SystemActor("test"), "file", held, func(ctx context.Context, _ pgx.Tx, _ ledger.Imported) error {
		_, err := w.led.Enact(ctx, w.operator, ledger.Enactment{Version: w.draft(t, redrawn(0.7))})
		return err
	})
	if !errors.Is(err, ledger.ErrGridsChanged) {
		t.Errorf("a batch placed by the tree before: %v", err)
	}
	if n := w.count(t, "incident", "source = 'blank'"); n != 22 {
		t.Fatalf("%d incidents of the blank source", n)
	}
	if len(first.Fresh) != 100 || len(second.Fresh) != 50 || second.Repeated != 100 {
		t.Fatalf("first %+v, second %+v", first, second)
	}
	w.sequence(t)
	for table, want := range map[string]int{
		"incident WHERE source = 'old'": 150, "incident WHERE open AND source = 'old'": 15, "live_state": 15 + 3,
		"incident_journal JOIN incident i ON i.id = incident_id WHERE i.source = 'old'": 15 + 2*135,
		"feed WHERE kind = 'incidents.imported'":                                        2 + 4, "audit_log WHERE action = 'incidents.import'": 2 + 4,
	} {
		if n := w.count(t, table, ""); n != want {
			t.Errorf("%s: %d rows, want %d", table, n, want)
		}
	}
}

func TestARepeatTellsWhatItsCallerMaySeeNow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.report(t, "0301", 0.5, 0.5, ledger.Command{Key: "k", Request: [32]byte{1}}) // in the west
	i, _ := w.cat.Now().Tree.ByCode("E")
	n := w.cat.Now().Tree.Nodes()[i]
	moved := auth.NewActor(auth.Grant{ID: w.operator.ID, Role: auth.TownOperator, Intervals: []auth.Interval{{Lo: n.No, Hi: n.Last}}})
	for _, c := range []struct {
		who    auth.Actor
		hidden bool
	}{{w.operator, false}, {moved, true}} {
		res, err := w.led.Do(t.Context(), c.who, ledger.Command{Key: "k", Request: [32]byte{1}, Report: w.placed(t, "0301", 0.5, 0.5)})
		if err != nil || !res.Repeated || res.Hidden != c.hidden || res.Incident.ID != first.Incident.ID || (res.Incident.Title == "") != c.hidden {
			t.Errorf("%s: %+v, %v", c.who.Role, res, err)
		}
	}
}
