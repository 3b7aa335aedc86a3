// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"onemap/auth"
	"onemap/geo"
)

type insideMark struct {
	Workers *struct {
		Count, Fresh, Stale *int
		Items               []struct {
			Badge  string
			FixAge int `json:"fix_age_s"`
		}
		Cut bool
	}
	Incidents *struct {
		Count int
		Items []struct{ ID string }
		Cut   bool
	}
}

// mark posts a selection and says in a line what lies inside.
func (st *stand) mark(token, body string) (insideMark, string) {
	st.t.Helper()
	a := st.call("POST", "/api/v1/select", token, body)
	var v insideMark
	if err := json.Unmarshal(a.body, &v); a.status != 200 || err != nil {
		st.t.Fatalf("%s: %d %s %v", body, a.status, a.body, err)
	}
	var say []string
	if w := v.Workers; w != nil {
		say = append(say, fmt.Sprint("workers ", num(w.Count)))
		for _, i := range w.Items {
			say = append(say, i.Badge)
		}
	}
	if i := v.Incidents; i != nil {
		say = append(say, fmt.Sprint("incidents ", i.Count, "/", len(i.Items)))
	}
	return v, strings.Join(say, " ")
}

func num(n *int) string {
	if n == nil {
		return "few"
	}
	return fmt.Sprint(*n)
}

// TestWhatLiesInsideAMark: circle, box and polygon, in two datums, for whom it is shown
// and for whom it is counted.
func TestWhatLiesInsideAMark(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	hall := st.token(auth.HallOperator, "")
	st.crew("A1", "A1", "A1", "A1", "A1", "B1")
	now := time.Now().Truncate(time.Second)
	for n := 1; n <= 5; n++ {
		st.fix(n, 107.200+float64(n)*0.001, 38.3, now.Add(-time.Duration(n)*time.Second))
	}
	st.fix(6, 107.7, 38.3, now)
	for i := range 3 {
		if a := st.report(hall, 107.2+float64(i)*0.001, 38.3); a.status != 201 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	st.wait("the fixes", func() bool {
		_, s := st.mark(hall, `{"crs":"wgs84","box":[107,38,108,38.5],"kinds":["workers"]}`)
		return strings.HasPrefix(s, "workers 6")
	})

	// 350 m round 107.202: a degree of longitude is 87.3 km there, so 4 thousandths are.
	circle := `{"crs":"wgs84","circle":{"lon":107.202,"lat":38.3,"radius_m":%d},"kinds":["workers","incidents"]%s}`
	for _, c := range []struct{ who, body, want string }{
		{hall, fmt.Sprintf(circle, 350, ""), "workers 5 W1 W2 W3 W4 W5 incidents 3/3"},
		{hall, fmt.Sprintf(circle, 100, ""), "workers 3 W1 W2 W3 incidents 2/2"},
		{hall, fmt.Sprintf(circle, 350, `,"limit":2`), "workers 5 W1 W2 incidents 3/2"},
		{hall, `{"crs":"wgs84","polygon":{"type":"Polygon","coordinates":[[[107.201,38.29],[107.21,38.29],[107.21,38.31],[107.201,38.31],[107.201,38.29]],[[107.2025,38.295],[107.2035,38.295],[107.2035,38.305],[107.2025,38.305],[107.2025,38.295]]]},"kinds":["workers"]}`, "workers 4 W1 W2 W4 W5"},
		{hall, `{"crs":"wgs84","box":[107.201,38.3,107.203,38.3001],"kinds":["workers","incidents"]}`, "workers 3 W1 W2 W3 incidents 2/2"}, // the border is inside
		{st.token(auth.TownOperator, "B"), fmt.Sprintf(circle, 350, ""), "workers 0 incidents 0/0"},
		{st.token(auth.CountyLeader, ""), fmt.Sprintf(circle, 350, ""), "workers 5 incidents 3/3"},
		{st.token(auth.CountyLeader, ""), fmt.Sprintf(circle, 100, ""), "workers few incidents 2/2"},
	} {
		if _, got := st.mark(c.who, c.body); got != c.want {
			t.Errorf("%s: %q, want %q", c.body, got, c.want)
		}
	}

	// The same circle in GCJ-02, some 430 m off: the datum is said, so it is the same place.
	g := geo.WGS84{107.202, 38.3}.GCJ02()
	if _, got := st.mark(hall, fmt.Sprintf(`{"crs":"gcj02","circle":{"lon":%v,"lat":%v,"radius_m":100},"kinds":["workers"]}`, g[0], g[1])); got != "workers 3 W1 W2 W3" {
		t.Errorf("in GCJ-02: %s", got)
	}

	ring := func(n int) string {
		var at []string
		for k := range n - 1 {
			sin, cos := math.Sincos(2 * math.Pi * float64(k) / float64(n-1))
			at = append(at, fmt.Sprintf("[%v,%v]", 107.3+0.01*cos, 38.3+0.01*sin))
		}
		return "[" + strings.Join(append(at, at[0]), ",") + "]"
	}
	for _, c := range []struct {
		body, says string
		status     int
	}{
		{`{"crs":"wgs84","polygon":{"type":"Polygon","coordinates":[[[107.1,38.1],[107.2,38.2],[107.2,38.1],[107.1,38.2],[107.1,38.1]]]}}`, "107.150000,38.150000", 422},
		{`{"crs":"wgs84","polygon":{"type":"Polygon","coordinates":[[[107.1,38.1],[107.2,38.2],[107.2,38.1]]]}}`, "four or more", 422},
		{`{"crs":"wgs84","polygon":{"type":"Polygon","coordinates":[[107.1,38.1]]}}`, "lists of rings", 400},
		{`{"crs":"wgs84","polygon":{"type":"Polygon","coordinates":[` + ring(2001) + `]}}`, "2000", 422},
		{`{"crs":"wgs84","polygon":{"type":"Polygon","coordinates":[[["a",38.1]]]}}`, "no number", 400},
		{`{"crs":"wgs84","box":[120,30,121,31]}`, "beyond the county", 422},
		{`{"crs":"wgs84"}`, "mark one thing", 422},
		{`{"crs":"wgs84","box":[107,38,108,38.5],"circle":{"lon":107,"lat":38,"radius_m":10}}`, "mark one thing", 422},
		{`{"box":[107,38,108,38.5]}`, "crs", 400},
		{`{"crs":"mars","box":[107,38,108,38.5]}`, "crs", 400},
		{`{"crs":"wgs84","crs":"gcj02","box":[107,38,108,38.5]}`, "twice", 400},
		{`{"crs":"wgs84","polygon":{"type":"Polygon","coordinates":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}}`, "nested deeper", 400},
		{`{"crs":"wgs84","x":"` + strings.Repeat("x", 1<<20) + `"}`, "1048576", 413},
	} {
		a := st.call("POST", "/api/v1/select", hall, c.body)
		if a.status != c.status || !strings.Contains(string(a.body), c.says) {
			t.Errorf("%.120s: %d %.300s, want %d and %q", c.body, a.status, a.body, c.status, c.says)
		}
	}
	if a := st.call("POST", "/api/v1/select", hall, `{"crs":"wgs84","polygon":{"type":"Polygon","coordinates":[`+ring(2000)+`]},"kinds":["workers"]}`); a.status != 200 {
		t.Errorf("2,000 vertices: %d %.300s", a.status, a.body)
	}
}

// TestTheSameMatterIsSuggested: by whom it may be merged, of what they see, and not of
// what is merged, void or sensitive.
func TestTheSameMatterIsSuggested(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	hall := st.token(auth.HallOperator, "")
	send := func(category, title string, lon float64) string {
		a := st.call("POST", "/api/v1/incidents", hall, fmt.Sprintf(`{"category":%q,"title":%q,"location":{"lon":%v,"lat":38.3,"crs":"wgs84"}}`, category, title, lon))
		if a.status != 201 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		return a.json(t)["id"].(string)
	}
	first := send("0501", "甲镇惠民小区供水管爆裂", 107.2)
	again := send("0501", "惠民小区门口水管爆了", 107.2005)
	merged := send("0501", "惠民小区供水管爆裂", 107.2002)
	send("0501", "惠民小区供水管爆裂", 107.3)      // 8.7 km away
	send("0102", "甲镇惠民小区供水管爆裂", 107.2001) // sensitive: not for who has no flag
	st.exec("UPDATE incident SET state = 'merged', closed_at = now(), merged_into = $2::bigint WHERE id = $1::bigint", merged, first)
	ask := func(token, id string) (out []string) {
		a := st.get("/api/v1/incidents/"+id+"/duplicates", token)
		var v struct {
			Items []struct {
				Incident struct{ ID string }
				Score    float64
				Reasons  []struct{ Value, Weight float64 }
			}
			Merged []struct{ ID string }
		}
		if err := json.Unmarshal(a.body, &v); a.status != 200 || err != nil {
			return []string{fmt.Sprint(a.status)}
		}
		for _, i := range v.Items {
			sum := 0.0
			for _, r := range i.Reasons {
				sum += r.Value * r.Weight
			}
			if math.Abs(sum-i.Score) > 0.005 {
				t.Errorf("score %v, its reasons make %v", i.Score, sum)
			}
			out = append(out, i.Incident.ID)
		}
		for _, m := range v.Merged {
			out = append(out, "merged "+m.ID)
		}
		return out
	}
	for _, c := range []struct {
		who      auth.Role
		grid, id string
		want     []string
	}{
		{who: auth.HallOperator, id: first, want: []string{again, "merged " + merged}},
		{who: auth.TownOperator, grid: "A", id: again, want: []string{first}},
		{who: auth.TownOperator, grid: "B", id: first, want: []string{"404"}},
		{who: auth.CountyLeader, id: first, want: []string{"403"}},
		{who: auth.Wall, id: first, want: []string{"403"}},
	} {
		if got := ask(st.token(c.who, c.grid), c.id); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s of %q: %v, want %v", c.who, c.grid, got, c.want)
		}
	}
}
