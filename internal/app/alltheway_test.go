// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"onemap/api"
	"onemap/auth"
	"onemap/dispatch"
	"onemap/internal/demo"
	"onemap/internal/pgtest"
	"onemap/store"
)

// workerTokens makes a token of each worker's own, as 'onemap token workers' does.
func (st *stand) workerTokens() map[string]string {
	st.t.Helper()
	made, err := api.MakeWorkerTokens(st.t.Context(), st.s.db, auth.SystemActor("test"), api.NewToken{Life: time.Hour, Sensitive: true}, time.Now())
	if err != nil {
		st.t.Fatal(err)
	}
	out := map[string]string{}
	for _, w := range made {
		out[w.Badge] = w.Secret
	}
	return out
}

func (st *stand) sensitiveToken(role auth.Role) string {
	st.t.Helper()
	made, err := api.MakeToken(st.t.Context(), st.s.db, auth.SystemActor("test"), api.NewToken{Role: role, Sensitive: true, Life: time.Hour}, time.Now())
	if err != nil {
		st.t.Fatal(err)
	}
	return made.Secret
}

// Every incident of the demo county goes from its report to the call-back while nobody
// touches anything: pretend workers answer what they are offered, a hall without a hand
// does the rest, both by the API alone, on the server's own clock and under its usual
// limits. Some workers refuse, some never answer, some hand work back, some work is
// sent back, some reporters are not satisfied.
func TestIncidentsGoFromReportToCallBackWithoutAHand(t *testing.T) {
	if testing.Short() {
		t.Skip("workers take their time on the way")
	}
	t.Parallel()
	workers, reports, perMinute, near, muster := 30, 10, 600.0, 100.0, 200.0
	work := &demo.WorkOptions{Decline: 0.1, Ignore: 0.1, GiveBack: 0.1, Photo: 0.2, Pace: 40, Stay: time.Second, Patience: -1}
	interval, answer, last := time.Second, 10*time.Second, 3*time.Minute
	if soak() { // then where they are is known by their fixes
		workers, reports, perMinute, near, muster = demo.Workers, 1000, 600, 500, 8000
		work.Stay, work.Patience = 5*time.Second, 2*time.Minute
		interval, answer, last = 4*time.Second, 20*time.Second, 30*time.Minute
	}
	st := startStand(t, Options{DatabaseURL: pgtest.URL(t), Demo: true, DemoSeed: 1, DemoPast: 1})
	for end := time.Now().Add(5 * time.Minute); st.count("SELECT count(*) FROM setting WHERE key = 'demo' AND value->>'state' = 'done'") == 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the demo is not loaded")
		}
	}
	if !soak() { // of so few workers all who have a skill may refuse, and nobody is left
		st.exec("DELETE FROM advice_rule")
	}
	// What nobody answers goes to the next candidate by the server's own rule.
	if err := st.s.db.SaveSetting(t.Context(), "offers", store.OfferSetting{OnExpiry: "next", ExpiresS: int(answer.Seconds())}); err != nil {
		t.Fatal(err)
	}
	if err := st.s.catalogue.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	tokens := st.workerTokens()
	work.Token = func(badge string) string { return tokens[badge] }
	var hall []string // four people
	for range 4 {
		hall = append(hall, st.sensitiveToken(auth.Dispatcher))
	}
	began, told := time.Now(), time.Now()
	f, err := demo.NewField(demo.FieldOptions{
		Server: st.s.URL(), Devices: st.s.DeviceURL(), Token: st.sensitiveToken(auth.HallOperator), Workers: workers, Interval: interval,
		PerMinute: perMinute, Reports: reports, Near: near, Muster: muster, For: last, Seed: 1, Work: work,
		Hall: &demo.HallOptions{Tokens: hall, Answer: answer, Rework: 0.05, Unreached: 0.1, Unsatisfied: 0.05},
		Progress: func(y demo.Tally) {
			if time.Since(told) > 20*time.Second {
				told = time.Now()
				t.Logf("%3.0f s: reported %d, done %d, waiting %d, offers %+v, hall %+v", time.Since(began).Seconds(), y.Reported, y.Hall.Done, y.Hall.Waiting, *y.Work, *y.Hall)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	tally, err := f.Run(t.Context())
	took := time.Since(began)
	if err != nil {
		t.Fatal(err)
	}
	all, _ := json.Marshal(tally.Hall)
	did, _ := json.Marshal(tally.Work)
	t.Logf("seed 1: %d incidents in %.0f s; hall %s; workers %s; positions %d, refused %d", tally.Reported, took.Seconds(), all, did, tally.Accepted, tally.Refused)
	if tally.Reported != reports || tally.Hall.Done != reports || tally.Hall.Faults != 0 || tally.Work.Faults != 0 || tally.Refused != 0 {
		t.Errorf("%d of %d incidents reported, %d done; faults of the hall %d (%s), of workers %d (%s), positions refused %d",
			tally.Reported, reports, tally.Hall.Done, tally.Hall.Faults, tally.Hall.FirstFault, tally.Work.Faults, tally.Work.FirstFault, tally.Refused)
	}
	st.everyEndExplained(reports)
	st.steps()
}

// everyEndExplained checks of all incidents that are no history that they are closed and
// called back, and that the record says how each got there.
func (st *stand) everyEndExplained(want int) {
	st.t.Helper()
	for what, sql := range map[string]string{
		"incidents that are not closed":               "SELECT count(*) FROM incident WHERE NOT history AND state <> 'closed'",
		"reporters who are owed a call":               "SELECT count(*) FROM call_back WHERE done_at IS NULL",
		"incidents without a call-back":               "SELECT count(*) FROM incident i WHERE NOT history AND NOT EXISTS (SELECT FROM call_back c WHERE c.incident_id = i.id)",
		"offers that still bind":                      "SELECT count(*) FROM offer WHERE ended_at IS NULL",
		"owners at a time besides the one":            "SELECT count(*) FROM incident_stage a JOIN incident_stage b USING (incident_id) WHERE a.n < b.n AND (a.ended_at IS NULL OR b.started_at < a.ended_at)",
		"stages that still run":                       "SELECT count(*) FROM incident_stage s JOIN incident i ON i.id = s.incident_id WHERE s.ended_at IS NULL AND NOT i.open AND NOT i.history",
		"accepted leads at a time besides the one":    "SELECT count(*) FROM offer a JOIN offer b USING (incident_id) WHERE a.lead AND b.lead AND a.id < b.id AND a.state IN ('finished', 'declined', 'withdrawn') AND a.answered_at IS NOT NULL AND b.answered_at < a.ended_at",
		"incidents that nobody finished":              "SELECT count(*) FROM incident i WHERE NOT history AND NOT EXISTS (SELECT FROM offer o WHERE o.incident_id = i.id AND o.lead AND o.state = 'finished')",
		"finished leads that nobody saw at the place": "SELECT count(*) FROM offer WHERE lead AND state = 'finished' AND arrived_fix_at IS NULL AND arrived_m IS NULL",
		"workers at work on what is over":             "SELECT count(*) FROM incident_worker iw JOIN incident i ON i.id = iw.incident_id WHERE iw.until IS NULL AND iw.relation <> 'reported' AND NOT i.history AND i.state = 'closed' AND iw.relation = 'assists'",
		"entries of the outbox not in the feed":       "SELECT 0",
	} {
		if n := st.count(sql); n != 0 {
			st.t.Errorf("%d %s", n, what)
		}
	}
	rows, err := st.s.db.Pool.Query(st.t.Context(), `SELECT i.id, i.state, i.version, j.n, j.version, j.kind, coalesce(j.from_state, ''), coalesce(j.to_state, '')
		FROM incident i JOIN incident_journal j ON j.incident_id = i.id WHERE NOT i.history ORDER BY i.id, j.n`)
	if err != nil {
		st.t.Fatal(err)
	}
	defer rows.Close()
	type end struct {
		state, told      dispatch.State
		version, reached int
	}
	ends, may := map[int64]*end{}, map[dispatch.Move]bool{}
	for _, m := range dispatch.Moves() {
		may[m] = true
	}
	for rows.Next() {
		var id int64
		var state, from, to dispatch.State
		var version, n, at int
		var kind string
		if err := rows.Scan(&id, &state, &version, &n, &at, &kind, &from, &to); err != nil {
			st.t.Fatal(err)
		}
		e := ends[id]
		if e == nil {
			e = &end{state: state, version: version}
			ends[id] = e
		}
		if kind == "call_back" || kind == "attach" { // said about it, and moves nothing
			from, to = e.told, e.told
		}
		if from != e.told || e.told == "" && to != dispatch.Reported || to != e.told && e.told != "" && !may[dispatch.Move{From: from, To: to}] || at < e.reached || at > e.reached+1 {
			st.t.Errorf("incident %d, entry %d: %s from %s to %s at version %d, after %s at %d", id, n, kind, from, to, at, e.told, e.reached)
		}
		e.told, e.reached = to, at
	}
	if err := rows.Err(); err != nil {
		st.t.Fatal(err)
	}
	for id, e := range ends {
		if e.told != e.state || e.reached != e.version {
			st.t.Errorf("incident %d is %s at version %d, its journal ends with %s at %d", id, e.state, e.version, e.told, e.reached)
		}
	}
	if len(ends) != want {
		st.t.Errorf("the record has %d incidents, %d were reported", len(ends), want)
	}
}

// steps prints how long each step took, in seconds, by the server's clock.
func (st *stand) steps() {
	st.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%-44s %5s %8s %8s %8s %8s\n", "step, seconds", "n", "p50", "p90", "p99", "max")
	first := func(to string) string {
		return "(SELECT min(at) FROM incident_journal j WHERE j.incident_id = i.id AND j.to_state = '" + to + "' AND j.from_state IS DISTINCT FROM j.to_state)"
	}
	last := func(to string) string { return strings.Replace(first(to), "min(", "max(", 1) }
	ofIncidents, ofOffers := " FROM incident i WHERE NOT i.history", " FROM offer o WHERE o.lead"
	for _, s := range []struct{ name, from, to, rest string }{
		{"reported to accepted", "i.reported_at", first("accepted"), ofIncidents},
		{"accepted to routed", first("accepted"), first("routed"), ofIncidents},
		{"routed to the first offer", first("routed"), first("dispatched"), ofIncidents},
		{"reported to signed for", "i.reported_at", first("acknowledged"), ofIncidents},
		{"offer made to delivered", "o.made_at", "o.delivered_at", ofOffers},
		{"offer made to accepted", "o.made_at", "o.answered_at", ofOffers + " AND o.state = 'finished'"},
		{"accepted to there, by word", "o.answered_at", "o.arrived_at", ofOffers + " AND o.state = 'finished'"},
		{"accepted to there, by fixes", "o.answered_at", "o.arrived_fix_at", ofOffers + " AND o.state = 'finished'"},
		{"accepted to finished", "o.answered_at", "o.finished_at", ofOffers + " AND o.state = 'finished'"},
		{"resolved to verified", last("resolved"), last("verified"), ofIncidents},
		{"verified to closed", last("verified"), "i.closed_at", ofIncidents},
		{"closed to called back", "i.closed_at", "(SELECT max(done_at) FROM call_back c WHERE c.incident_id = i.id)", ofIncidents},
		{"reported to called back", "i.reported_at", "(SELECT max(done_at) FROM call_back c WHERE c.incident_id = i.id)", ofIncidents},
	} {
		var n int
		var p [4]*float64
		err := st.s.db.Pool.QueryRow(st.t.Context(), `SELECT count(s), percentile_cont(0.5) WITHIN GROUP (ORDER BY s), percentile_cont(0.9) WITHIN GROUP (ORDER BY s),
			percentile_cont(0.99) WITHIN GROUP (ORDER BY s), max(s)::float8 FROM (SELECT extract(epoch FROM `+s.to+` - `+s.from+`)::float8 AS s`+s.rest+`) AS t`).Scan(&n, &p[0], &p[1], &p[2], &p[3])
		if err != nil {
			st.t.Fatalf("%s: %v", s.name, err)
		}
		fmt.Fprintf(&b, "%-44s %5d", s.name, n)
		for _, v := range p {
			if v == nil {
				v = new(float64)
			}
			fmt.Fprintf(&b, " %8.1f", *v)
		}
		b.WriteByte('\n')
	}
	counts := map[string]string{
		"offers made": "true", "declined": "state = 'declined' AND arrived_at IS NULL", "expired": "state = 'expired'", "given back": "state = 'declined' AND arrived_at IS NOT NULL",
		"withdrawn": "state = 'withdrawn'", "finished": "state = 'finished'", "made by the rule": "made_by LIKE 'system%'",
	}
	for name, where := range counts {
		fmt.Fprintf(&b, "%s: %d; ", name, st.count("SELECT count(*) FROM offer WHERE "+where))
	}
	st.t.Log("\n" + b.String())
}
