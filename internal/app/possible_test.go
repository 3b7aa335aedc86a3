// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"strings"
	"testing"

	"onemap/auth"
)

// TestAnIncidentSaysWhatItsReaderMayDo: each act that is named is done with what it is
// said to need, on a twin of the incident, and not without; lists stay lean.
func TestAnIncidentSaysWhatItsReaderMayDo(t *testing.T) {
	t.Parallel()
	st := fieldStand(t, Options{}, 1)
	desk := st.token(auth.Dispatcher, "")
	fields := map[string]string{
		"reason": `"因故"`, "door": `"人民法院"`, "level": `3`, "until": `"2099-01-01T00:00:00Z"`, "into": fmt.Sprintf("%q", st.routed(desk)), "priority": `1`, "wrong": `true`,
	}
	twin := func(acts int) string {
		id := fmt.Sprint(idOf(t, st.report(desk, 107.2, 38.4).header.Get("Location")))
		for i, act := range []string{"accept", "route", "acknowledge", "resolve"}[:acts] {
			st.want(200, "POST", "/api/v1/incidents/"+id+"/actions", desk, `{"action":"`+act+`"}`, fmt.Sprintf(`If-Match: "%d"`, i+1))
		}
		return id
	}
	for _, acts := range []int{0, 2, 3, 4} {
		possible := st.want(200, "GET", "/api/v1/incidents/"+twin(acts), desk, "").json(t)["possible"].([]any)
		if len(possible) < 3 {
			t.Errorf("after %d acts: %v", acts, possible)
		}
		for _, p := range possible {
			p := p.(map[string]any)
			body := fmt.Sprintf(`{"action":%q`, p["action"])
			needs := p["needs"].([]any)
			if one, ok := p["one_of"].([]any); ok {
				for _, f := range one {
					if fields[f.(string)] != "" && f != "level" {
						needs = append(needs, f)
						break
					}
				}
			}
			id := twin(acts)
			version := fmt.Sprintf(`If-Match: "%d"`, acts+1)
			if a := st.call("POST", "/api/v1/incidents/"+id+"/actions", desk, body+"}", version); (a.status == 200) != (len(needs) == 0) {
				t.Errorf("%v with nothing: %d %s", p, a.status, a.body)
			}
			if len(needs) == 0 {
				continue
			}
			for _, f := range needs {
				body += fmt.Sprintf(",%q:%s", f, fields[f.(string)])
			}
			if a := st.call("POST", "/api/v1/incidents/"+id+"/actions", desk, body+"}", version); a.status != 200 {
				t.Errorf("%v: %s is answered %d %s", p, body, a.status, a.body)
			}
		}
	}
	spot := `{"category":"0101","title":"邻里口角","location":{"lon":107.2,"lat":38.4,"crs":"wgs84"}}`
	own := st.want(201, "POST", "/api/v1/incidents", st.phone(1), spot).json(t)["id"].(string)
	if v := st.want(200, "GET", "/api/v1/incidents/"+own, st.phone(1), "").json(t)["possible"]; fmt.Sprint(v) != "[map[action:resolve needs:[reason]]]" {
		t.Errorf("who reported it may %v", v)
	}
	id := twin(0)
	for _, reader := range []auth.Role{auth.CountyLeader, auth.Auditor} {
		v := st.want(200, "GET", "/api/v1/incidents/"+id, st.token(reader, ""), "").json(t)["possible"]
		if list, _ := v.([]any); len(list) != 0 {
			t.Errorf("a %s may %v", reader, v)
		}
	}
	if list := st.want(200, "GET", "/api/v1/incidents", desk, ""); strings.Contains(string(list.body), "possible") {
		t.Errorf("lists are not lean: %.300s", list.body)
	}
	// Who is refused is told of the right door, by whoever asks.
	path := "/api/v1/incidents/" + id
	st.want(422, "POST", path+"/actions", desk, `{"action":"refuse","reason":"不属受理范围","door_department":"没有的部门"}`, `If-Match: "1"`)
	st.want(200, "POST", path+"/actions", desk, `{"action":"refuse","reason":"不属受理范围","door_department":"消防救援"}`, `If-Match: "1"`)
	if v := st.want(200, "GET", path, desk, "").json(t); v["door"] != "消防救援" || len(v["possible"].([]any)) != 0 {
		t.Errorf("%v", v)
	}
	if n := st.count("SELECT count(*) FROM incident_journal j JOIN department d ON d.id::text = j.data ->> 'door_department' WHERE j.incident_id = $1 AND j.kind = 'refuse' AND d.name = '消防救援'", id); n != 1 {
		t.Error("the journal does not name the department")
	}
}
