// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// TestSIGTERMTellsEveryoneToComeBackAndStopsPostgresLast stops a server with open
// sockets and a burst of reports on it.
func TestSIGTERMTellsEveryoneToComeBackAndStopsPostgresLast(t *testing.T) {
	t.Parallel()
	s := serve(t, freshFolder(t))
	token := s.square()
	sockets := 8 // of one actor, as many as are allowed
	var mu sync.Mutex
	told := 0
	var wg sync.WaitGroup
	for range sockets {
		d := websocket.Dialer{Subprotocols: []string{"onemap.v1"}, HandshakeTimeout: 10 * time.Second}
		c, _, err := d.Dial("ws"+strings.TrimPrefix(s.URL, "http")+"/api/v1/live", http.Header{"Authorization": {"Bearer " + token}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.WriteJSON(map[string]any{"type": "hello", "topics": []string{"events"}}); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			_ = c.SetReadDeadline(time.Now().Add(40 * time.Second))
			for {
				_, _, err := c.ReadMessage()
				if websocket.IsCloseError(err, websocket.CloseServiceRestart) && strings.Contains(err.Error(), "retry_ms=") {
					mu.Lock()
					told++
					mu.Unlock()
				}
				if err != nil {
					return
				}
			}
		})
	}
	b := startBurst(s, token, 2)
	eventually(t, "a first report", 10*time.Second, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.acked) > 0
	})
	start := time.Now()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.ended:
	case <-time.After(20 * time.Second):
		t.Fatal("still running 20 s after SIGTERM")
	}
	took := time.Since(start)
	wg.Wait()
	t.Logf("stopped in %s, %d of %d sockets were told to come back", took.Round(time.Millisecond), told, sockets)
	if took > 11*time.Second {
		t.Errorf("the stop took %s", took)
	}
	if told != sockets {
		t.Errorf("%d of %d sockets were told to come back", told, sockets)
	}
	if !s.cmd.ProcessState.Success() {
		t.Errorf("exit status %v:\n%s", s.cmd.ProcessState, s.out)
	}
	if _, err := os.Stat(filepath.Join(s.data, "pg", "postmaster.pid")); !os.IsNotExist(err) {
		t.Errorf("PostgreSQL was not stopped in good order: %v", err)
	}
	if n := killCluster(t, s.data); n != 0 {
		t.Errorf("%d processes of the cluster outlived the server", n)
	}
	s.restart() // and nothing that was promised is lost
	b.end()
}

func TestASecondServerOnTheSameFolderIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	s := serve(t, dataFolder(t))
	out, err := run(t, "serve", "--data", s.data, "--listen", "127.0.0.1:0", "--device-listen", "127.0.0.1:0", "--admin-listen", "off")
	if err == nil || !strings.Contains(err.Error(), "database") {
		t.Fatalf("%v %s", err, out)
	}
	if status, _ := s.call("GET", s.URL+"/livez", "", ""); status != 200 {
		t.Errorf("the first server suffered: %d", status)
	}
}
