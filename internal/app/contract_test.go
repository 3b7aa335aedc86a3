// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"onemap/auth"
)

// operation is one route of the contract.
type operation struct {
	method, path string
	params       []param
	body         *schema
	kinds        []string // content types of the body
}

type param struct {
	Name, In string
	Schema   schema
}

type schema struct {
	Ref        string `json:"$ref"`
	Type       any
	Properties map[string]*schema
	Items      *schema
	Required   []string
	Enum       []any
	Minimum    *float64
	MinItems   int
}

func (s *schema) is(kind string) bool {
	if list, ok := s.Type.([]any); ok {
		return slices.Contains(list, any(kind))
	}
	return s.Type == kind
}

func (o operation) String() string { return o.method + " " + o.path }

// filled is the route's address with ids that nothing has.
func (o operation) filled() string {
	return strings.NewReplacer("{id}", "987654321", "{n}", "1", "{version}", "987654321", "{layer}", "grids", "{z}", "8", "{x}", "204", "{y}", "98").Replace(o.path)
}

func (o operation) writes() bool { return o.method != "GET" && o.method != "HEAD" }

// contract reads every route out of the OpenAPI document.
func (st *stand) contract() []operation {
	st.t.Helper()
	var doc struct {
		Paths map[string]map[string]struct {
			Parameters  []param
			RequestBody struct {
				Content map[string]struct{ Schema *schema }
			}
		}
		Components struct{ Schemas map[string]*schema }
	}
	if err := json.Unmarshal(st.get("/api/openapi.json", "").body, &doc); err != nil {
		st.t.Fatal(err)
	}
	var resolve func(s *schema) *schema
	resolve = func(s *schema) *schema {
		if s == nil {
			return nil
		}
		if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
			s = doc.Components.Schemas[name]
		}
		for k, p := range s.Properties {
			s.Properties[k] = resolve(p)
		}
		s.Items = resolve(s.Items)
		return s
	}
	var out []operation
	for path, methods := range doc.Paths {
		for m, o := range methods {
			op := operation{method: strings.ToUpper(m), path: path, params: o.Parameters}
			for kind, c := range o.RequestBody.Content {
				op.kinds = append(op.kinds, kind)
				if kind == "application/json" {
					op.body = resolve(c.Schema)
				}
			}
			out = append(out, op)
		}
	}
	slices.SortFunc(out, func(a, b operation) int { return strings.Compare(a.String(), b.String()) })
	if len(out) < 25 {
		st.t.Fatalf("the contract has %d routes only", len(out))
	}
	return out
}

// sample is a value that a schema allows.
func sample(s *schema) any {
	switch {
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.is("object"):
		out := map[string]any{}
		for _, k := range s.Required {
			if p := s.Properties[k]; p != nil && k != "$schema" {
				out[k] = sample(p)
			}
		}
		return out
	case s.is("array"):
		out := []any{}
		for s.Items != nil && len(out) < s.MinItems {
			out = append(out, sample(s.Items))
		}
		return out
	case s.is("integer"), s.is("number"):
		if s.Minimum != nil {
			return *s.Minimum
		}
		return 1
	case s.is("boolean"):
		return false
	}
	return "x"
}

// keyring is a token of every role.
type keyring map[auth.Role]string

func (st *stand) keyring() keyring {
	k := keyring{}
	for _, r := range auth.Roles {
		k[r] = st.token(r, "")
	}
	return k
}

// asked sends a request to a route as the first role that is let in.
func (st *stand) asked(k keyring, o operation, path, body string, headers ...string) (a answer) {
	for _, r := range []auth.Role{auth.HallOperator, auth.SecurityAdmin, auth.SystemAdmin, auth.Auditor, auth.GridWorker, auth.CountyLeader} {
		if a = st.call(o.method, path, k[r], body, headers...); a.status != 401 && a.status != 403 {
			break
		}
	}
	return a
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// with adds a key to the text of a JSON object, whatever it has already.
func with(object, key, value string) string {
	inner := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(object), "{"), "}")
	if !strings.Contains(key, `\u`) {
		b, _ := json.Marshal(key)
		key = string(b)
	} else {
		key = `"` + key + `"`
	}
	if inner != "" {
		inner += ","
	}
	return "{" + inner + key + ":" + value + "}"
}

// size is how much an answer holds: what another result set would change.
func size(t *testing.T, a answer) int {
	switch kind := a.header.Get("Content-Type"); {
	case a.status == 200 && strings.HasSuffix(kind, "spreadsheetml.sheet"):
		_, rows := workbook(t, a)
		return len(rows)
	case a.status == 200 && strings.HasPrefix(kind, "text/csv"):
		r := csv.NewReader(bytes.NewReader(a.body))
		r.FieldsPerRecord = -1
		rows, err := r.ReadAll()
		if err != nil {
			t.Errorf("%v in %.200s", err, a.body)
		}
		return len(rows)
	case !strings.Contains(kind, "json"):
		return bytes.Count(a.body, []byte("\n"))
	}
	var v map[string]any
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Errorf("%v in %.200s", err, a.body)
	}
	for _, k := range []string{"items", "features", "path"} {
		if list, ok := v[k].([]any); ok {
			return len(list)
		}
	}
	return 0
}

// query is a request's good parameters, of which one is then another.
func (o operation) query() url.Values {
	q := url.Values{}
	now := time.Now().UTC()
	for _, p := range o.params {
		if p.In != "query" {
			continue
		}
		switch p.Name {
		case "from":
			q.Set("from", now.Add(-12*time.Hour).Format(time.RFC3339))
			if o.path == "/api/v1/exports/figures.csv" {
				q.Set("from", monday(now).AddDate(0, 0, -14).Format(time.DateOnly))
			}
		case "to":
			q.Set("to", now.Add(time.Hour).Format(time.RFC3339))
			if o.path == "/api/v1/exports/figures.csv" {
				q.Set("to", monday(now).Format(time.DateOnly))
			}
		case "reason":
			q.Set("reason", "核实情况，回访当事人")
		case "case":
			q.Set("case", "SJ000000001")
		case "lon":
			q.Set("lon", "107.2")
		case "lat":
			q.Set("lat", "38.2")
		case "crs":
			q.Set("crs", "wgs84")
		}
	}
	return q
}

// opener is the token of the first role that a route lets in.
func (st *stand) opener(k keyring, o operation) string {
	for _, r := range []auth.Role{auth.HallOperator, auth.Auditor, auth.SecurityAdmin, auth.SystemAdmin, auth.GridWorker} {
		if a := st.call(o.method, o.filled()+"?"+o.query().Encode(), k[r], ""); a.status != 401 && a.status != 403 {
			return k[r]
		}
	}
	return k[auth.HallOperator]
}
