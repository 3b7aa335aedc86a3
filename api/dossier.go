// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"onemap/auth"
	"onemap/people"
	"onemap/store"
)

// dossierStyle is all that the page of a dossier is drawn with; its policy allows this
// very text.
const dossierStyle = "body{font:14px/1.5 sans-serif;margin:2em;color:#111}h1{font-size:1.4em}h2{font-size:1.1em;margin-top:1.5em}" +
	"table{border-collapse:collapse;width:100%}th,td{border:1px solid #999;padding:3px 6px;text-align:left;vertical-align:top;overflow-wrap:anywhere}th{background:#eee}.text{white-space:pre-wrap}"

//go:embed dossier.html
var dossierHTML string

var dossierPolicy = func() string {
	sum := sha256.Sum256([]byte(dossierStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

func (s *Server) dossier() {
	route(s, need{auth.Read, auth.Remark}, huma.Operation{
		OperationID: "get-dossier", Method: http.MethodGet, Path: "/api/v1/incidents/{id}/dossier", Tags: []string{"incidents"},
		Summary: "All that is known of one incident; also as text/html, to print", Errors: []int{404},
		Description: "No personal field is in it. An archived incident's is the one that was stored when it was archived, with its hash.",
	}, s.getDossier)
}

// DossierAnswer is a dossier, and whether it is the one that was filed.
type DossierAnswer struct {
	Dossier   json.RawMessage `json:"dossier" doc:"incident, first_asked, stages, journal, requests, instructions, sessions, call_backs, assistants; of an archived incident the very text whose hash is sha256"`
	FiledAt   *time.Time      `json:"filed_at" doc:"When it was archived; null while it is not"`
	SHA256    string          `json:"sha256,omitempty" doc:"Of the dossier, as the journal's entry of archive has it"`
	Unchanged *bool           `json:"unchanged,omitempty" doc:"Whether the stored dossier still has that hash"`
}

type dossierInput struct {
	ID     int64  `path:"id" minimum:"1"`
	Accept string `header:"Accept"`
}

type dossierOutput struct {
	ContentType string `header:"Content-Type"`
	Policy      string `header:"Content-Security-Policy"`
	Body        any
}

func (s *Server) getDossier(ctx context.Context, a caller, in *dossierInput) (*dossierOutput, error) {
	d, filed, err := s.reads(a).DossierOf(ctx, s.o.Catalogue, a.Scope, in.ID)
	if err != nil {
		return nil, err
	}
	out := DossierAnswer{}
	if filed != nil {
		sum := sha256.Sum256(filed.Body)
		same, at := hex.EncodeToString(sum[:]) == filed.SHA256, filed.At.UTC()
		out = DossierAnswer{filed.Body, &at, filed.SHA256, &same}
		err = json.Unmarshal(filed.Body, &d)
	} else {
		out.Dossier, err = json.Marshal(d)
	}
	if err != nil {
		return nil, fmt.Errorf("dossier of incident %d: %w", in.ID, err)
	}
	if !strings.Contains(in.Accept, "text/html") {
		return &dossierOutput{"application/json", contentPolicy, out}, nil
	}
	page, err := s.dossierPage(d, out)
	if err != nil {
		return nil, err
	}
	return &dossierOutput{"text/html; charset=utf-8", dossierPolicy, page}, nil
}

func (s *Server) dossierPage(d store.Dossier, a DossierAnswer) ([]byte, error) {
	centre := s.o.Catalogue.Now().Centre
	t, err := template.New("dossier").Funcs(template.FuncMap{
		"at": func(t any) string {
			if p, ok := t.(*time.Time); ok {
				if p == nil {
					return ""
				}
				t = *p
			}
			return people.Local(t.(time.Time)).Format("2006-01-02 15:04")
		},
		"text": func(p *string) string {
			if p == nil {
				return ""
			}
			return *p
		},
		"level": centre.Level,
	}).Parse(dossierHTML)
	if err != nil {
		return nil, err
	}
	if d.Incident.CaseFields == nil {
		d.Incident.CaseFields = &store.CaseFields{}
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{
		"D": d, "Centre": centre.Name, "Filed": a.FiledAt != nil, "FiledAt": a.FiledAt, "SHA256": a.SHA256, "Unchanged": a.Unchanged != nil && *a.Unchanged,
		"Style": template.CSS(dossierStyle),
	})
	return b.Bytes(), err
}
