// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/internal/app"
	"onemap/internal/attach"
	"onemap/internal/localpg"
	"onemap/internal/pgtest"
	"onemap/store"
	"onemap/store/ledger"
)

// canary is a number that must be nowhere in plain.
const canary = "13800138007"

// centre is a running server on a data folder.
type centre struct {
	t    *testing.T
	data string
	s    *app.Server
	db   *store.DB
}

// start runs a server on data until t ends.
func start(t *testing.T, data string) *centre {
	t.Helper()
	s, err := app.Start(t.Context(), app.Options{Listen: "127.0.0.1:0", DeviceListen: "127.0.0.1:0", AdminListen: "off", Data: data})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	c := &centre{t: t, data: data, s: s}
	if c.db, err = store.Open(t.Context(), c.url(), store.Options{MaxConns: 2}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.db.Close)
	return c
}

// url is that of the running private cluster.
func (c *centre) url() string {
	c.t.Helper()
	url, running := localpg.Join(c.data)
	if !running {
		c.t.Fatalf("no cluster runs in %s", c.data)
	}
	return url
}

// onemap runs a command and returns its standard output, and all it said.
func onemap(t *testing.T, want int, args ...string) (out, said string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(args, &stdout, &stderr); code != want {
		t.Fatalf("onemap %s: status %d, want %d\n%s%s", strings.Join(args, " "), code, want, stdout.String(), stderr.String())
	}
	return strings.TrimSpace(stdout.String()), stderr.String()
}

func (c *centre) call(method, path, token, body string, headers ...string) (int, string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.s.URL()+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res.StatusCode, string(raw)
}

// one reads a single text.
func (c *centre) one(sql string) (text string) {
	c.t.Helper()
	if err := c.db.Pool.QueryRow(c.t.Context(), sql).Scan(&text); err != nil {
		c.t.Fatalf("%s: %v", sql, err)
	}
	return text
}

// report sends one with a key of its own and a reporter.
func (c *centre) report(token string) (int, string) {
	return c.call("POST", "/api/v1/incidents", token,
		`{"category":"0301","title":"消防通道被占","location":{"lon":107.5,"lat":38.2,"crs":"wgs84"},"reporter":{"name":"张三丰","phone":"`+canary+`"}}`,
		"Idempotency-Key", "drill-1")
}

// attached is the file of an attachment, by its hash.
var attached = func() string {
	name := fmt.Sprintf("%x", sha256.Sum256([]byte("a picture")))
	return filepath.Join("attachments", name[:2], name)
}()

// small makes a centre with a county of 1/2/4 grids, a reported incident and an
// attachment, and returns a token of it.
func small(t *testing.T, data string) (c *centre, token string) {
	t.Helper()
	c = start(t, data)
	outline := filepath.Join(t.TempDir(), "outline.geojson")
	text := `{"type":"Polygon","coordinates":[[[107,38],[108,38],[108,38.5],[107,38.5],[107,38]]]}`
	if err := os.WriteFile(outline, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	onemap(t, 0, "grids", "draft", "--data", data, "--outline", outline, "--crs", "wgs84", "--counts", "2,4", "--code", "990001", "--enact")
	token, _ = onemap(t, 0, "token", "create", "--data", data, "--role", "hall_operator")
	until(t, "the incident", func() bool {
		status, _ := c.report(token)
		return status == http.StatusCreated
	})
	until(t, "its number in the feed", func() bool { return c.one("SELECT (seq > 0)::text FROM feed_head") == "true" })
	folder := filepath.Join(data, "attachments", "ab")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "abcd"), []byte("a picture"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(data, attached)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("a picture"), 0o600)); err != nil {
		t.Fatal(err)
	}
	_, err := c.db.Pool.Exec(t.Context(), `INSERT INTO attachment (incident_id, n, state, uploader, begun_at, kind, declared_type, size, sha256, type, served_sha256, served_size, ready_at)
		VALUES (1, 1, 'ready', 'token:1', now(), 'photo', 'image/jpeg', 9, sha256('a picture'), 'image/jpeg', sha256('a picture'), 9, now())`)
	if err != nil {
		t.Fatal(err)
	}
	return c, token
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("no %s within a minute", what)
		}
		select {
		case <-t.Context().Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// folder is one the database's own user can reach, gone after t.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "onemap-drill-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestARestoredCentreGoesOnWhereTheBackupWasMade is the drill: a centre is backed
// up while it runs, restored elsewhere, started and compared.
func TestARestoredCentreGoesOnWhereTheBackupWasMade(t *testing.T) {
	t.Setenv("DATABASE_URL", "")
	_ = pgtest.URL(t) // without PostGIS: skipped at a desk, failed in the gate
	dir := folder(t)
	dataA, dataB := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	file, key := filepath.Join(dir, "b.age"), filepath.Join(dir, "copy.key")
	a, token := small(t, dataA)
	sealer, err := store.OpenSealer(dataA)
	if err != nil {
		t.Fatal(err)
	}
	audit := func(c *centre) *ledger.AuditSealer {
		return &ledger.AuditSealer{DB: c.db, Key: sealer.AuditKey(), Now: time.Now}
	}
	if _, err := audit(a).Seal(t.Context()); err != nil {
		t.Fatal(err)
	}

	began := time.Now()
	_, said := onemap(t, 0, "backup", "--data", dataA, "--out", file, "--key-out", key)
	t.Logf("backup took %v", time.Since(began))
	if !strings.Contains(said, filepath.Join(dataA, "seal.key")) {
		t.Errorf("where the key is was not said: %s", said)
	}
	began = time.Now()
	onemap(t, 0, "restore", file, "--data", dataB, "--key", key)
	t.Logf("restore took %v", time.Since(began))

	if out, said := onemap(t, 0, "audit", "verify", "--data", dataB); out != "" || !strings.Contains(said, "no anchor yet") {
		t.Errorf("audit of the place before its first start: %q, %s", out, said)
	}
	if was := a.one("SELECT (data->>'file') || ' ' || (data->>'key_copy') FROM audit_log WHERE action = 'backup.create'"); was != "b.age copy.key" {
		t.Errorf("the audit row of the backup names %q", was)
	}

	b := start(t, dataB)
	for _, path := range []string{"/api/v1/incidents", "/api/v1/incidents/1", "/api/v1/incidents/1/journal", "/api/v1/grids?level=2"} {
		until(t, "the same "+path, func() bool { // the server reads its grids a moment after it started
			statusA, textA := a.call("GET", path, token, "")
			statusB, textB := b.call("GET", path, token, "")
			return statusA == 200 && statusB == 200 && textA == textB
		})
	}
	if status, text := b.report(token); status != http.StatusCreated || !strings.Contains(text, `"id":"1",`) || !strings.Contains(text, `"repeated":true`) {
		t.Errorf("the same key again: %d %s", status, text)
	}
	for what, sql := range map[string]string{
		"incidents":     "SELECT count(*)::text FROM incident",
		"sealed fields": "SELECT encode(phone_sealed, 'hex') FROM reporter WHERE phone_sealed IS NOT NULL",
		"seals":         "SELECT count(*)::text || max(encode(hash, 'hex')) FROM audit_seal WHERE n = 1",
	} {
		if was, is := a.one(sql), b.one(sql); was != is || is == "" || is == "0" {
			t.Errorf("%s: %q, were %q", what, is, was)
		}
	}
	const epoch = "SELECT epoch::text FROM feed_head"
	if b.one(epoch) == a.one(epoch) {
		t.Error("the feed goes on in the epoch of the other place: screens would miss what is numbered anew")
	}
	if faults, err := ledger.VerifyAudit(t.Context(), b.db, sealer.AuditKey(), "", nil); err != nil || len(faults) > 0 {
		t.Errorf("audit of the restored centre: %v, %v", faults, err)
	}
	rightsA, errA := a.db.Rights(t.Context())
	rightsB, errB := b.db.Rights(t.Context())
	if errA != nil || errB != nil || rightsA != rightsB || !strings.Contains(rightsB, "tables to come") {
		t.Errorf("rights of the roles (%v, %v):\n%s\nwere\n%s", errA, errB, rightsB, rightsA)
	}
	if schemaA, schemaB := schemaOf(t, a.url()), schemaOf(t, b.url()); schemaA != schemaB {
		t.Error("the schema of the restored database is another")
	}
	if f := attach.Examine(t.Context(), b.db, dataB, time.Now()); len(f) != 1 || f[0].Level != store.Good || f[0].What != "attachments: 1 files" {
		t.Errorf("the restored folder against the restored rows: %+v", f)
	}
	for _, name := range []string{"seal.key", "attachments/ab/abcd", attached} {
		was, errA := os.ReadFile(filepath.Join(dataA, name))
		is, errB := os.ReadFile(filepath.Join(dataB, name))
		if errA != nil || errB != nil || !bytes.Equal(was, is) {
			t.Errorf("%s: %q, was %q (%v, %v)", name, is, was, errA, errB)
		}
	}
	if _, err := os.Stat(filepath.Join(dataB, "restoring")); !os.IsNotExist(err) {
		t.Errorf("the working folder is still there: %v", err)
	}
	noCanary(t, a, file)
}

// schemaOf is the schema with owners and grants, without the rows.
func schemaOf(t *testing.T, url string) string {
	t.Helper()
	text := pgDump(t, url, "--schema-only", "--schema=public")
	var kept []string
	for line := range strings.Lines(text) { // newer ones have a random word in them
		if !strings.HasPrefix(line, `\restrict`) && !strings.HasPrefix(line, `\unrestrict`) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

func pgDump(t *testing.T, url string, args ...string) string {
	t.Helper()
	full, err := localpg.AsSuperuser(url)
	if err != nil {
		t.Fatal(err)
	}
	path, err := localpg.Tool("pg_dump", 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, append(args, full)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("pg_dump: %v %s", err, said.String())
	}
	return string(out)
}

// noCanary looks for a reporter's number in the backup and in a plain dump, as
// text and as the hexadecimal digits of a bytea.
func noCanary(t *testing.T, c *centre, file string) {
	t.Helper()
	sealed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte(canary)) || bytes.Contains(sealed, []byte("消防通道")) || bytes.Contains(sealed, []byte("PGDMP")) {
		t.Error("the backup shows something in plain")
	}
	dump := pgDump(t, c.url())
	if !strings.Contains(dump, "消防通道被占") || !strings.Contains(dump, "drill-1") {
		t.Error("the plain dump does not hold the incident: the search proves nothing")
	}
	for _, word := range []string{canary, hex.EncodeToString([]byte(canary)), "张三丰", hex.EncodeToString([]byte("张三丰"))} {
		if strings.Contains(dump, word) {
			t.Errorf("a plain dump shows %q", word)
		}
	}
}

func TestABackupIsRefusedRatherThanHalfRestored(t *testing.T) {
	t.Setenv("DATABASE_URL", "")
	_ = pgtest.URL(t)
	dir := folder(t)
	data, file := filepath.Join(dir, "a"), filepath.Join(dir, "b.age")
	onemap(t, 0, "migrate", "--data", data)
	_, said := onemap(t, 1, "backup", "--data", data, "--out", file)
	if !strings.Contains(said, "no sealing key") {
		t.Errorf("without a key: %s", said)
	}
	if _, err := store.OpenSealer(data); err != nil {
		t.Fatal(err)
	}
	keyFile := filepath.Join(data, "seal.key")
	onemap(t, 0, "backup", "--data", data, "--out", file)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	spoilt := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	other := spoilt("other.key", []byte(strings.Repeat("ab", 32)+"\n"))
	target := filepath.Join(dir, "c")
	for name, c := range map[string]struct{ file, key, says string }{
		"wrong key":        {file, other, "this key does not open the backup"},
		"no key at all":    {file, spoilt("no.key", []byte("junk")), "is no sealing key"},
		"cut by a byte":    {spoilt("cut1", whole[:len(whole)-1]), keyFile, "damaged or cut off"},
		"cut in the half":  {spoilt("cut2", whole[:len(whole)/2]), keyFile, "damaged or cut off"},
		"cut in its head":  {spoilt("cut3", whole[:50]), keyFile, "damaged or cut off"},
		"empty":            {spoilt("cut4", nil), keyFile, "damaged or cut off"},
		"one bit flipped":  {spoilt("bit", flipped), keyFile, "damaged or cut off"},
		"longer by a byte": {spoilt("long", append(bytes.Clone(whole), 0)), keyFile, "damaged or cut off"},
		"not a backup":     {spoilt("text", []byte("hello\n")), keyFile, "damaged or cut off"},
	} {
		_, said := onemap(t, 1, "restore", c.file, "--data", target, "--key", c.key)
		if !strings.Contains(said, c.says) {
			t.Errorf("%s: said %s", name, said)
		}
		if _, err := os.Stat(target); !os.IsNotExist(err) {
			t.Errorf("%s: the folder is there: %v", name, err)
		}
		if c.key == keyFile {
			if _, said := onemap(t, 1, "backup", "--check", c.file, "--data", data); !strings.Contains(said, c.says) {
				t.Errorf("--check of %s: said %s", name, said)
			}
		}
	}
	if _, said := onemap(t, 1, "restore", file, "--data", data, "--key", keyFile); !strings.Contains(said, "not empty") {
		t.Errorf("into a folder in use: %s", said)
	}
	if _, said := onemap(t, 1, "backup", "--data", data, "--out", file); !strings.Contains(said, "--force") {
		t.Errorf("over an earlier backup: %s", said)
	}
	if _, said := onemap(t, 1, "backup", "--data", data, "--out", filepath.Join(dir, "d.age"), "--key-out", other); !strings.Contains(said, "holds something else") {
		t.Errorf("over another key: %s", said)
	}
	if _, said := onemap(t, 1, "backup", "--data", data, "--out", filepath.Join(dir, "e.age"), "--key-out", filepath.Join(dir, ".", "e.age")); !strings.Contains(said, "keep them apart") {
		t.Errorf("backup and key in one file: %s", said)
	}
	if err := os.Mkdir(filepath.Join(dir, "f.age.part"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, said := onemap(t, 1, "backup", "--data", data, "--out", filepath.Join(dir, "f.age")); strings.Contains(said, "written 0.0 MB") {
		t.Errorf("a backup that failed says it was written: %s", said)
	}
	onemap(t, 0, "backup", "--data", data, "--out", file, "--force")
	onemap(t, 0, "backup", "--check", file, "--data", data)
	conn, err := localpg.Start(t.Context(), localpg.Options{Dir: data})
	if err != nil {
		t.Fatal(err)
	}
	newer(t, conn.URL(localpg.Database))
	if err := conn.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	onemap(t, 0, "backup", "--data", data, "--out", file, "--force")
	if _, said := onemap(t, 1, "restore", file, "--data", target, "--key", keyFile); !strings.Contains(said, "newer version of this program") {
		t.Errorf("of a newer program: %s", said)
	}
}

// TestALostOrWrongKeyStopsEverything takes the key of a database away and puts
// another in its place.
func TestALostOrWrongKeyStopsEverything(t *testing.T) {
	url, data := pgtest.URL(t), t.TempDir()
	t.Setenv("DATABASE_URL", url)
	db, err := store.Open(t.Context(), url, store.Options{MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.OpenSealer(t.Context(), data); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(data, "seal.key")
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	serve := func() error {
		s, err := app.Start(t.Context(), app.Options{Listen: "127.0.0.1:0", DeviceListen: "127.0.0.1:0", AdminListen: "off", Data: data, DatabaseURL: url})
		if err == nil {
			_ = s.Stop(context.WithoutCancel(t.Context()))
		}
		return err
	}
	if err := serve(); !errors.Is(err, store.ErrKeyLost) {
		t.Errorf("serve without the key: %v", err)
	}
	if _, said := onemap(t, 1, "demo", "--data", data); !strings.Contains(said, "key of this database is gone") {
		t.Errorf("demo without the key: %s", said)
	}
	if _, err := os.Stat(key); !os.IsNotExist(err) {
		t.Fatalf("a new key was made: %v", err)
	}

	if _, err := store.OpenSealer(data); err != nil {
		t.Fatal(err)
	}
	if err := serve(); !errors.Is(err, store.ErrWrongKey) {
		t.Errorf("serve with another key: %v", err)
	}
	if _, said := onemap(t, 1, "demo", "--data", data); !strings.Contains(said, store.ErrWrongKey.Error()) {
		t.Errorf("demo with another key: %s", said)
	}
	out := t.TempDir()
	_, said := onemap(t, 1, "backup", "--data", data, "--out", filepath.Join(out, "b.age"), "--key-out", filepath.Join(out, "copy.key"))
	if !strings.Contains(said, store.ErrWrongKey.Error()) {
		t.Errorf("backup with another key: %s", said)
	}
	if left, err := os.ReadDir(out); err != nil || len(left) > 0 {
		t.Errorf("backup left %v, %v", left, err)
	}
	var rows int
	if err := db.Pool.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM audit_log) + (SELECT count(*) FROM category)").Scan(&rows); err != nil || rows != 0 {
		t.Errorf("%d rows were written, %v", rows, err)
	}
}

// newer makes the database one of a program to come.
func newer(t *testing.T, url string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)"); err != nil {
		t.Fatal(err)
	}
}
