// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"onemap/internal/localpg"
)

// built is the program with its pages: the one that ONEMAP_BIN names, which make
// has just built, or else one built once for all tests of this package. Beside it
// lies the pretend field, fieldsim.
var built = sync.OnceValues(func() (string, error) {
	if bin := os.Getenv("ONEMAP_BIN"); bin != "" {
		bin, err := filepath.Abs(bin)
		if err == nil {
			_, err = os.Stat(bin)
		}
		if err != nil {
			return "", fmt.Errorf("ONEMAP_BIN: %w: run `make build`, and name the whole path of bin/onemap", err)
		}
		return bin, nil
	}
	_ = pages() // the tests of a page say what is missing
	dir, err := shared("onemap-e2e-bin-")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", dir, "onemap/cmd/onemap", "onemap/cmd/fieldsim")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return filepath.Join(dir, "onemap"), nil
})

// sharedFolders are those that serve several tests, gone after the last.
var sharedFolders struct {
	sync.Mutex // guards dirs
	dirs       []string
}

// shared makes a folder for several tests, which the database's own user can reach.
func shared(pattern string) (string, error) {
	dir, err := os.MkdirTemp("", pattern)
	if err != nil {
		return "", err
	}
	sharedFolders.Lock()
	defer sharedFolders.Unlock()
	sharedFolders.dirs = append(sharedFolders.dirs, dir)
	return dir, os.Chmod(dir, 0o711)
}

func TestMain(m *testing.M) {
	if file := os.Getenv(crowdFile); file != "" {
		if err := beCrowd(file); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	for _, dir := range sharedFolders.dirs {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// need skips at a desk, and fails where everything must be there, when PostGIS is
// missing.
func need(t *testing.T) {
	t.Helper()
	if err := localpg.Available(); err != nil {
		missing(t, err.Error())
	}
}

func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" || os.Getenv("ONEMAP_REQUIRE_DB") == "1" {
		t.Fatalf("missing: %s (run `make deps` first)", what)
	}
	t.Skipf("SKIPPED, missing: %s", what)
}

// soak reports whether the full counts are asked for (make soak).
func soak() bool { return os.Getenv("ONEMAP_SOAK") == "1" }

// seed is a data folder that a command of the program made once; tests work on
// copies of it.
type seed struct {
	sync.Mutex // guards what follows
	dir        string
	err        error
}

var (
	migrated seed // the schema and nothing in it
	demoed   seed // a small made-up county
)

// copied makes the seed by a command, if nobody has yet, and returns a data folder
// that is a copy of it.
func (s *seed) copied(t *testing.T, command ...string) string {
	t.Helper()
	need(t)
	s.Lock()
	defer s.Unlock()
	if s.dir == "" && s.err == nil {
		if s.dir, s.err = shared("onemap-e2e-seed-"); s.err == nil {
			_, s.err = run(t, append(command, "--data", filepath.Join(s.dir, "data"))...)
		}
	}
	data := freshFolder(t)
	err := s.err
	if err == nil {
		var out []byte
		if out, err = exec.Command("cp", "-a", filepath.Join(s.dir, "data"), data).CombinedOutput(); err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
	}
	if err != nil {
		t.Fatalf("a data folder by onemap %s: %v", strings.Join(command, " "), err)
	}
	return data
}

// dataFolder is a data folder in which a server finds its database made, and
// nothing in it.
func dataFolder(t *testing.T) string { return migrated.copied(t, "migrate") }

// demoFolder is a data folder with a small made-up county.
func demoFolder(t *testing.T) string {
	return demoed.copied(t, "demo", "--past", fmt.Sprint(smallPast))
}

// smallPast is how many incidents the small made-up county has had.
const smallPast = 3000

// freshFolder names a data folder that is not there yet, in a folder that the
// database's own user can reach, gone after t.
func freshFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "onemap-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "data")
}

// server is a running onemap serve.
type server struct {
	t      *testing.T
	data   string
	args   []string
	cmd    *exec.Cmd
	out    *output
	URL    string
	Device string
	http   *http.Client
	ended  chan struct{}
}

// output gathers what the program prints and lets a test wait for a pattern.
type output struct {
	mu   sync.Mutex // guards buf
	buf  bytes.Buffer
	grew chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Write(p)
	select {
	case o.grew <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// serve starts the program on data with free ports.
func serve(t *testing.T, data string, args ...string) *server {
	t.Helper()
	need(t)
	s := &server{t: t, data: data, args: args, http: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 32}}}
	s.start("127.0.0.1:0", "127.0.0.1:0")
	t.Cleanup(s.stop)
	return s
}

func (s *server) start(listen, device string) {
	s.t.Helper()
	bin, err := built()
	if err != nil {
		s.t.Fatal(err)
	}
	s.out, s.ended = &output{grew: make(chan struct{}, 1)}, make(chan struct{})
	s.cmd = exec.Command(bin, append([]string{"serve", "--data", s.data, "--listen", listen, "--device-listen", device, "--admin-listen", "off"}, s.args...)...)
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func(cmd *exec.Cmd, ended chan struct{}) { // ends with the process
		_ = cmd.Wait()
		close(ended)
	}(s.cmd, s.ended)
	m := s.await(`一图 OneMap: (http://\S+)  （设备 (http://\S+)）`, time.Minute)
	s.URL, s.Device = m[1], m[2]
}

// await waits until the program has printed pattern.
func (s *server) await(pattern string, patience time.Duration) []string {
	s.t.Helper()
	re, late := regexp.MustCompile(pattern), time.After(patience)
	for {
		if m := re.FindStringSubmatch(s.out.String()); m != nil {
			return m
		}
		select {
		case <-s.out.grew:
		case <-s.ended:
			s.t.Fatalf("the server ended early:\n%s", s.out)
		case <-late:
			s.t.Fatalf("no %q within %s:\n%s", pattern, patience, s.out)
		}
	}
}

// restart starts the program again at the same addresses.
func (s *server) restart() {
	s.t.Helper()
	s.start(strings.TrimPrefix(s.URL, "http://"), strings.TrimPrefix(s.Device, "http://"))
}

// kill ends the server at once, as a power cut would.
func (s *server) kill() {
	s.t.Helper()
	_ = s.cmd.Process.Signal(syscall.SIGKILL)
	<-s.ended
}

// stop ends the server in good order and checks that it took no longer than it may.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(30 * time.Second):
		s.t.Errorf("the server did not stop within 30 s:\n%s", s.out)
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
}

// cli runs a command of the program on the same data and returns its output.
func (s *server) cli(args ...string) string {
	s.t.Helper()
	out, err := run(s.t, append(args, "--data", s.data)...)
	if err != nil {
		s.t.Fatalf("onemap %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(out)
}

// run runs the program and returns its standard output; the error carries what
// it said besides.
func run(t testing.TB, args ...string) (string, error) {
	t.Helper()
	bin, err := built()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%w: %s", err, said.String())
	}
	return out.String(), nil
}

// call sends a request; status 0 means that there was no answer.
func (s *server) call(method, url, token, body string, headers ...string) (int, []byte) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		s.t.Error(err)
		return 0, nil
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		req.Header.Set(k, v)
	}
	res, err := s.http.Do(req)
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, raw
	}
	return res.StatusCode, raw
}

// getJSON reads path into v, at the pace the server allows: a quick machine turns
// pages faster than one caller may.
func (s *server) getJSON(path, token string, v any) {
	s.t.Helper()
	status, raw := s.call("GET", s.URL+path, token, "")
	for end := time.Now().Add(30 * time.Second); status == http.StatusTooManyRequests && time.Now().Before(end); {
		time.Sleep(time.Second) // the pace is one of a second
		status, raw = s.call("GET", s.URL+path, token, "")
	}
	if status != 200 {
		s.t.Fatalf("GET %s: %d %s", path, status, raw)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		s.t.Fatal(err)
	}
}

// square has an outline around 107.5E 38.2N drawn and enacted as the county 990001
// of 1/2/4/8 grids, waits until the server knows them, and returns an operator's
// token.
func (s *server) square() string {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "outline.geojson")
	outline := `{"type":"Feature","properties":{},"geometry":{"type":"Polygon","coordinates":[[[107,38],[108,38],[108,38.5],[107,38.5],[107,38]]]}}`
	if err := os.WriteFile(file, []byte(outline), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.cli("grids", "draft", "--outline", file, "--crs", "wgs84", "--counts", "2,4,8", "--code", "990001", "--name", "试验县", "--enact")
	token := s.cli("token", "create", "--role", "hall_operator")
	eventually(s.t, "grids on the server", 10*time.Second, func() bool {
		_, raw := s.call("GET", s.URL+"/api/v1/grids?level=1", token, "")
		return bytes.Contains(raw, []byte("990001"))
	})
	return token
}

// eventually polls until ok.
func eventually(t *testing.T, what string, patience time.Duration, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("no %s within %s", what, patience)
		}
		select {
		case <-t.Context().Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}
