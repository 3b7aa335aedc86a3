// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onemap/auth"
	"onemap/internal/attach"
	"onemap/store"
)

// restart stops the server and starts another on the same data.
func (st *stand) restart() {
	st.t.Helper()
	o := st.s.o
	if err := st.s.Stop(context.Background()); err != nil {
		st.t.Fatal(err)
	}
	o.Listen, o.DeviceListen, o.AdminListen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	s, err := Start(st.t.Context(), o)
	if err != nil {
		st.t.Fatal(err)
	}
	st.t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			st.t.Error(err)
		}
	})
	st.s, st.url = s, s.URL()
}

// huge is a photo whose header says that it has four thousand million pixels.
func huge(file []byte) []byte {
	out := bytes.Clone(file)
	i := bytes.LastIndex(out, []byte{0xff, 0xc0, 0, 17})
	copy(out[i+5:], []byte{0xff, 0xff, 0xff, 0xff})
	return out
}

// TestAFullDiskKeepsNoIncidentOut: parts meet a device without room; the incident
// takes its reports all the same, and the photo goes on when there is room again.
func TestAFullDiskKeepsNoIncidentOut(t *testing.T) {
	t.Parallel()
	clock := &testClock{at: time.Now()}
	st := newStandWith(t, Options{Now: clock.now})
	worker := st.fieldWorker("W1")
	id := st.ownIncident(worker)
	file := photo(t, 60, 40, "")
	at := st.attach(worker, id, "image/jpeg", file)
	dir := filepath.Join(st.s.o.Data, "attachments", "partial")
	part := filepath.Join(dir, id+"-1")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/full", part); err != nil {
		t.Fatal(err)
	}
	a := st.sendPart(worker, at, 0, file)
	if a.status != 507 || a.header.Get("Retry-After") == "" || !strings.Contains(string(a.body), "pending") {
		t.Errorf("no room: %d %s", a.status, a.body)
	}
	if got := st.attachments(worker, id); len(got) != 1 || got[0]["state"] != "pending" {
		t.Errorf("%v", got)
	}
	if a := st.report(worker, 107.21, 38.31); a.status != 201 {
		t.Errorf("a report: %d %s", a.status, a.body)
	}
	if err := os.Remove(part); err != nil {
		t.Fatal(err)
	}
	if a := st.sendPart(worker, at, 0, file); a.status != 204 || st.attachments(worker, id)[0]["state"] != "ready" {
		t.Errorf("with room: %d %s", a.status, a.body)
	}

	// The room that is left to the database.
	none := attach.New(attach.Options{Data: t.TempDir(), DB: st.s.db, Ledger: st.s.ledger, Now: clock.now, Log: st.s.o.Log, Free: func(string) (int64, error) { return attach.Reserve + 100, nil }})
	if _, err := none.Append(store.Attachment{Incident: 1, N: 1, Size: 1000}, 0, bytes.NewReader(file[:1000]), nil); !errors.Is(err, attach.ErrNoRoom) {
		t.Errorf("an upload takes the database's room: %v", err)
	}
}

// TestTheSweepEndsWhatWasLeft: a file that was whole when the server died, one that
// nobody goes on with, files of nobody, files of what was removed.
func TestTheSweepEndsWhatWasLeft(t *testing.T) {
	t.Parallel()
	clock := &testClock{at: time.Now()}
	st := newStandWith(t, Options{Now: clock.now})
	worker := st.fieldWorker("W1")
	id := st.ownIncident(worker)
	dir := filepath.Join(st.s.o.Data, "attachments")
	sweep := func() {
		t.Helper()
		if err := st.s.files.Sweep(t.Context()); err != nil {
			t.Error(err)
		}
	}
	file := photo(t, 60, 40, "")
	late := st.attach(worker, id, "image/jpeg", file)
	if a := st.sendPart(worker, late, 0, file[:50]); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	killed := st.attach(worker, id, "image/jpeg", file)
	if err := os.WriteFile(filepath.Join(dir, "partial", id+"-2"), file, 0o600); err != nil { // all of it had come
		t.Fatal(err)
	}
	sweep()
	if got := st.attachments(worker, id); got[0]["state"] != "pending" || got[1]["state"] != "ready" {
		t.Errorf("%v", got)
	}
	if a := st.get(killed+"/content", worker); a.status != 200 {
		t.Errorf("what was whole: %d", a.status)
	}
	clock.move(attach.KeepPartial - time.Hour)
	if sweep(); st.attachments(worker, id)[0]["state"] != "pending" {
		t.Error("an upload expires too early")
	}
	clock.move(2 * time.Hour)
	if sweep(); st.attachments(worker, id)[0]["state"] != "expired" {
		t.Error("an upload that nobody goes on with does not expire")
	}
	if left, err := os.ReadDir(filepath.Join(dir, "partial")); err != nil || len(left) != 0 {
		t.Errorf("parts are left: %v, %v", left, err)
	}

	// Whole files: three of the photo that is ready, one of nobody.
	stray := strings.Repeat("ab", 32)
	if err := os.MkdirAll(filepath.Join(dir, "ab"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ab", stray), []byte("stray"), 0o600); err != nil {
		t.Fatal(err)
	}
	orphans := func() int {
		t.Helper()
		n, err := st.s.files.SweepOrphans(t.Context())
		if err != nil {
			t.Error(err)
		}
		return n
	}
	doctor := func() store.Finding {
		return attach.Examine(t.Context(), st.s.db, st.s.o.Data, clock.now())[0]
	}
	if f := doctor(); f.Level != store.Warning || !strings.Contains(f.What, "4 files, 1 belong to no row") {
		t.Errorf("doctor: %+v", f)
	}
	if n := orphans(); n != 1 {
		t.Errorf("%d files of nobody were removed", n)
	}
	if f := doctor(); f.Level != store.Good {
		t.Errorf("doctor: %+v", f)
	}
	if a := st.call("DELETE", killed+"?reason="+url.QueryEscape("传错了照片"), worker, ""); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if n := orphans(); n != 0 {
		t.Errorf("%d files go at once", n)
	}
	clock.move(attach.KeepOrphan + time.Minute)
	if n := orphans(); n != 3 {
		t.Errorf("%d files of what was removed go a day later, want 3", n)
	}
	st.exec("INSERT INTO attachment (incident_id, n, state, uploader, begun_at, kind, declared_type, size, sha256, type, served_sha256, served_size, ready_at) SELECT incident_id, 99, 'ready', uploader, now(), kind, declared_type, size, sha256, 'image/jpeg', sha256, size, now() FROM attachment WHERE n = 2")
	if f := doctor(); f.Level != store.Fault || !strings.Contains(f.What, "1 that rows name are missing") {
		t.Errorf("doctor: %+v", f)
	}
	if a := st.get("/api/v1/incidents/"+id+"/attachments/99/content", worker); a.status != 503 {
		t.Errorf("a file that is missing: %d %s", a.status, a.body)
	}

	// A folder that is not this database's loses nothing.
	if err := os.MkdirAll(filepath.Join(dir, "cd"), 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 12 {
		name := fmt.Sprintf("cd%062x", i)
		if err := os.WriteFile(filepath.Join(dir, "cd", name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	clock.move(attach.KeepOrphan + time.Minute)
	if n, err := st.s.files.SweepOrphans(t.Context()); n != 0 || err == nil || !strings.Contains(err.Error(), "is this its database") {
		t.Errorf("%d removed, %v", n, err)
	}
}

// TestNobodyWaitsForSlowUploads: senders who hang take no place of other changes, and
// an upload takes one sender at a time.
func TestNobodyWaitsForSlowUploads(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	worker, hall := st.fieldWorker("W1"), st.token(auth.HallOperator, "")
	id := st.ownIncident(worker)
	var first string
	file := photo(t, 60, 40, "")
	for i := range 4 {
		at := st.attach(worker, id, "image/jpeg", file, "client_ref", fmt.Sprint("slow", i))
		if first == "" {
			first = at
		}
		r, w := io.Pipe()
		req, err := http.NewRequestWithContext(t.Context(), "PATCH", st.url+at, r)
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range map[string]string{"Authorization": "Bearer " + worker, "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"} {
			req.Header.Set(k, v)
		}
		go func() {
			res, err := st.http.Do(req)
			if err == nil {
				_ = res.Body.Close()
			}
		}()
		if _, err := w.Write(file[:10]); err != nil {
			t.Fatal(err)
		}
		st.wait("byte", func() bool { return st.offset(worker, at) == "10" })
		t.Cleanup(func() { _ = w.CloseWithError(io.ErrUnexpectedEOF) })
	}
	if a := st.sendPart(worker, first, 10, file[10:]); a.status != 409 && a.status != 503 {
		t.Errorf("two at one upload: %d %s", a.status, a.body)
	}
	began := time.Now()
	if a := st.call("POST", "/api/v1/incidents/"+id+"/actions", hall, `{"action":"accept"}`, `If-Match: "1"`); a.status != 200 {
		t.Errorf("an act: %d %s", a.status, a.body)
	}
	if a := st.report(worker, 107.2, 38.2); a.status != 201 || time.Since(began) > 5*time.Second+slackBeside {
		t.Errorf("a report: %d after %s", a.status, time.Since(began))
	}
}
