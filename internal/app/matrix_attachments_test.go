// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"net/http"
	"strings"
	"testing"
)

// attach has the worker attach a photo to an own incident, with a name and a place
// hidden in it, and gives every other incident a row of the same files.
func (w *world) attach(t *testing.T) {
	t.Helper()
	file := photo(t, 64, 48, birdName)
	worker := w.named("worker").token
	var first *matter
	for _, m := range w.incidents {
		if m.worker == w.workers[0].id && !m.sensitive && first == nil {
			first = m
		}
	}
	at := w.stand.attach(worker, first.id, "image/jpeg", file)
	if a := w.sendPart(worker, at, 0, file); a.status != 204 {
		t.Fatalf("the last part: %d %s", a.status, a.body)
	}
	w.exec(t, w.s.db, `INSERT INTO attachment (incident_id, n, state, uploader, begun_at, kind, declared_type, size, sha256, type, width, height, file_captured_at,
		file_lon, file_lat, file_datum, served_sha256, served_size, thumb_sha256, ready_at)
		SELECT i.id, 1, a.state, a.uploader, a.begun_at, a.kind, a.declared_type, a.size, a.sha256, a.type, a.width, a.height, a.file_captured_at,
		a.file_lon, a.file_lat, a.file_datum, a.served_sha256, a.served_size, a.thumb_sha256, a.ready_at
		FROM attachment a, incident i WHERE a.incident_id = $1 AND i.id <> $1`, first.id)
}

// eachUpload asks the routes of uploads about every incident: who may write begins
// one, goes on with the own one alone, and takes the own away; the hall takes away any.
func (r *run) eachUpload(l line) {
	ask := func(id string) answer {
		path := strings.NewReplacer("{id}", id, "{n}", "1").Replace(l.path)
		switch l.method {
		case http.MethodPost:
			return r.ask(l, l.method, path, "", "Upload-Length: 5", "Upload-Metadata: "+said("image/jpeg", []byte("12345"), "client_ref", r.a.id+"/"+id))
		case http.MethodPatch:
			return r.ask(l, l.method, path, "", "Content-Type: application/offset+octet-stream", "Upload-Offset: 0")
		}
		return r.ask(l, l.method, path, "")
	}
	missing, may := r.nothing(l, ask)
	sender := r.a.worker != 0 // the photos of this world are one worker's
	for _, m := range r.w.incidents {
		a := ask(m.id)
		switch {
		case !may:
			r.denied(l, m.name, a)
		case r.o.sees(r.w, r.a, m, rowAttached) == hidden:
			r.same(l, m.name, a, missing)
		case l.method == http.MethodPost:
			r.granted(l, m.name, a, http.StatusCreated)
		case l.method == http.MethodDelete && !sender && r.o.cell(rowAttached, r.a).reach == own:
			r.denied(l, m.name+", another's", a)
		case l.method == http.MethodDelete:
			r.granted(l, m.name+" without a reason", a, http.StatusUnprocessableEntity)
		case !sender:
			r.same(l, m.name+", another's", a, missing)
		case l.method == http.MethodHead:
			r.granted(l, m.name, a, http.StatusOK)
		default:
			r.granted(l, m.name, a, http.StatusConflict)
		}
	}
}
