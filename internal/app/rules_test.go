// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"onemap/auth"
)

// refused are the fields that an answer names.
func (a answer) refused(t testing.TB) string {
	t.Helper()
	out := ""
	for _, e := range a.json(t)["errors"].([]any) {
		out += " " + e.(map[string]any)["location"].(string)
	}
	return out
}

// TestRulesAreReadAndChangedWhileOffersGoOn: what the system administrator sets is in
// force at once, for advice and offers, and what may not be so is named field by field.
func TestRulesAreReadAndChangedWhileOffersGoOn(t *testing.T) {
	t.Parallel()
	st := fieldStand(t, Options{}, 2)
	admin, desk := st.token(auth.SystemAdmin, ""), st.token(auth.Dispatcher, "")
	const advice, offers = "/api/v1/rules/advice", "/api/v1/rules/offers"
	tag := func(path string) string { return "If-Match: " + st.want(200, "GET", path, desk, "").header.Get("ETag") }

	st.want(403, "PUT", advice, desk, `{"reason":"x","items":[]}`, tag(advice))
	st.want(428, "PUT", advice, admin, `{"reason":"x","items":[]}`)
	bad := st.want(422, "PUT", advice, admin, `{"reason":" ","items":[
		{"category":"0501","weights":{"travel":1001,"grid":0,"load":0,"fairness":-1,"cover":0},"max_load":0,"max_duty_s":9223372036854775807},
		{"category":"0501","half_s":0},{"category":"nothing","radius_m":100},{"category":"0601"}]}`, tag(advice))
	if got := bad.refused(t); got != " body.items[0].weights.travel body.items[0].weights.fairness body.items[0].max_load body.items[0].max_duty_s"+
		" body.items[1].half_s body.items[1].category body.items[2].category body.items[3].category body.reason" || !strings.Contains(string(bad.body), "from 1 to 100") {
		t.Errorf("%s: %s", got, bad.body)
	}
	before := tag(advice)
	set := `{"reason":"消防事件要有消防技能","items":[{"category":"0501","skills":["fire"],"max_load":7},{"category":"05","half_s":900,"skills":[]}]}`
	if v := st.want(200, "PUT", advice, admin, set, before).json(t)["items"].([]any); len(v) != 2 || v[0].(map[string]any)["category"] != "05" {
		t.Errorf("%v", v)
	}
	st.want(409, "PUT", advice, admin, set, before)
	st.want(200, "PUT", advice, admin, set, tag(advice)) // the same contents have the same name
	a := st.want(201, "POST", "/api/v1/incidents", desk, `{"category":"0501","title":"灌木起火","location":{"lon":107.2,"lat":38.4,"crs":"wgs84"}}`)
	rule := st.want(200, "GET", fmt.Sprintf("/api/v1/incidents/%s/candidates", a.json(t)["id"]), desk, "").json(t)["rule"].(map[string]any)
	if fmt.Sprint(rule["skills"], rule["max_load"], rule["half_s"]) != "[fire] 7 900" {
		t.Errorf("advice goes by %v", rule)
	}

	bad = st.want(422, "PUT", offers, admin, `{"reason":"x","expires_s":5,"on_expiry":"later","late_yes":"yes","work":0,"radius_m":1e9,"radius_of":[{"category":"0501","radius_m":1},{"category":"0501","radius_m":50}]}`, tag(offers))
	if got := bad.refused(t); got != " body.on_expiry body.late_yes body.expires_s body.work body.radius_m body.radius_of[0].radius_m body.radius_of[1].category" ||
		!strings.Contains(string(bad.body), "from 10 to 3600 seconds") || !strings.Contains(string(bad.body), "one of: ask, next") {
		t.Errorf("%s: %s", got, bad.body)
	}
	set = `{"reason":"乡下路远","expires_s":45,"on_expiry":"ask","late_yes":"never","work":9,"radius_m":150,"radius_of":[{"category":"0501","radius_m":400}]}`
	st.want(200, "PUT", offers, admin, set, tag(offers))
	st.wait("the rules in force", func() bool { return st.s.catalogue.Now().Offers.Expires == 45*time.Second })
	o := offered(t, st.want(201, "POST", "/api/v1/incidents/"+st.routed(desk)+"/offers", desk, `{"worker_ids":["1"],"lead":true}`, `If-Match: "3"`))
	made, _ := time.Parse(time.RFC3339, fmt.Sprint(o["made_at"]))
	until, _ := time.Parse(time.RFC3339, fmt.Sprint(o["expires_at"]))
	if until.Sub(made) != 45*time.Second {
		t.Errorf("open for %s", until.Sub(made))
	}
	// A yes that was said in time and comes late is not free any more.
	st.exec("UPDATE offer SET made_at = made_at - interval '60 seconds', expires_at = now() - interval '5 seconds' WHERE id = $1", o["id"])
	st.wait("its end", func() bool {
		return st.count("SELECT count(*) FROM offer WHERE id = $1 AND state = 'expired'", o["id"]) == 1
	})
	said := time.Now().Add(-20 * time.Second).Format(time.RFC3339)
	st.want(409, "POST", fmt.Sprintf("/api/v1/offers/%s/acts", o["id"]), st.phone(1), `{"kind":"accept","at":"`+said+`"}`)
	if n := st.count(`SELECT count(*) FROM audit_log WHERE action IN ('rules.advice', 'rules.offers') AND reason <> '' AND data #> '{after}' IS NOT NULL AND data #> '{before}' IS NOT NULL`); n != 3 {
		t.Errorf("%d changes in the audit", n)
	}
}
