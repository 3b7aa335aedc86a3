// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package job_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onemap/internal/job"
	"onemap/internal/pgtest"
)

// An import of the numbers 1 to total into table sunk, which has no unique index:
// a number stored twice shows. Every seventh number is refused; its record in the
// reject file spans two lines.
const (
	total    = 2000
	header   = "\xef\xbb\xbfn,why\r\n"
	childVar = "ONEMAP_JOB_TEST_CHILD"
)

func refused(n int64) bool { return n%7 == 0 }

func rejectRecord(n int64) string { return fmt.Sprintf("%d,\"not\r\n\"\"liked\"\"\"\r\n", n) }

func numbers(fail int64) iter.Seq2[int64, error] {
	return func(yield func(int64, error) bool) {
		for n := int64(1); n <= total; n++ {
			if n == fail {
				yield(0, errCut)
				return
			}
			if !yield(n, nil) {
				return
			}
		}
	}
}

var errCut = errors.New("the file is cut off")

// sink stores a batch in one transaction. between runs after Advance and before
// the commit, after runs behind the commit; their errors are the crash.
func sink(pool *pgxpool.Pool, between, after func() error) func(context.Context, *job.Batch[int64]) error {
	return func(ctx context.Context, b *job.Batch[int64]) error {
		err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			for _, n := range b.Rows {
				if refused(n) {
					b.Reject([]byte(rejectRecord(n)))
					continue
				}
				if _, err := tx.Exec(ctx, `INSERT INTO sunk VALUES ($1)`, n); err != nil {
					return err
				}
				b.Counts.InGrid++
			}
			if err := b.Advance(ctx, tx); err != nil {
				return err
			}
			return between()
		})
		if err != nil {
			return err
		}
		return after()
	}
}

func fine() error { return nil }

func options(rejects string, commit func(context.Context, *job.Batch[int64]) error) job.Options[int64] {
	return job.Options[int64]{
		Kind: "test", Fingerprint: []byte("fp"), FileName: "numbers", Rows: numbers(0), Commit: commit,
		Rejects: rejects, RejectHeader: []byte(header), BatchRows: 50, Now: time.Now,
	}
}

func newSink(t *testing.T) (*pgxpool.Pool, string) {
	t.Helper()
	pool := pgtest.Pool(t)
	if _, err := pool.Exec(t.Context(), `CREATE TABLE sunk (n bigint)`); err != nil {
		t.Fatal(err)
	}
	return pool, filepath.Join(t.TempDir(), "rejects.csv")
}

// wholeOnce checks that every row was stored or refused, once.
func wholeOnce(t *testing.T, pool *pgxpool.Pool, rejects string) {
	t.Helper()
	var rows, distinct, sum int64
	if err := pool.QueryRow(t.Context(), `SELECT count(*), count(DISTINCT n), coalesce(sum(n), 0) FROM sunk`).Scan(&rows, &distinct, &sum); err != nil {
		t.Fatal(err)
	}
	var wantRows, wantSum int64
	want := header
	for n := int64(1); n <= total; n++ {
		if refused(n) {
			want += rejectRecord(n)
			continue
		}
		wantRows++
		wantSum += n
	}
	if rows != wantRows || distinct != wantRows || sum != wantSum {
		t.Errorf("%d rows, %d distinct, sum %d; want %d rows, sum %d", rows, distinct, sum, wantRows, wantSum)
	}
	got, err := os.ReadFile(rejects)
	if err != nil || string(got) != want {
		t.Errorf("the reject file is not what it should be (%d bytes, want %d), error %v", len(got), len(want), err)
	}
	var state string
	var done, rejected int64
	err = pool.QueryRow(t.Context(), `SELECT state, rows_done, rejected FROM import_job`).Scan(&state, &done, &rejected)
	if err != nil || state != "done" || done != total || rejected != total-wantRows {
		t.Errorf("job: %s, %d rows, %d rejected, %v", state, done, rejected, err)
	}
}

func TestRunOnceThenNothing(t *testing.T) {
	pool, rejects := newSink(t)
	var last job.Progress
	o := options(rejects, sink(pool, fine, fine))
	o.Progress = func(p job.Progress) { last = p }
	res, err := job.Run(t.Context(), pool, o)
	if err != nil || res.AlreadyDone || res.Counts.Rows() != total {
		t.Fatalf("result %+v, error %v", res, err)
	}
	if last.Counts != res.Counts {
		t.Errorf("last progress %+v, result %+v", last, res)
	}
	wholeOnce(t, pool, rejects)
	o.Commit = func(context.Context, *job.Batch[int64]) error { t.Error("a finished job commits"); return nil }
	again, err := job.Run(t.Context(), pool, o)
	if err != nil || !again.AlreadyDone || again.Counts != res.Counts {
		t.Errorf("again: %+v, %v", again, err)
	}
	wholeOnce(t, pool, rejects)
}

func TestCrashesAtRandomBatchesLoseAndDoubleNothing(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	pool, rejects := newSink(t)
	crash := errors.New("crash")
	sometimes := func() error {
		if rng.IntN(12) == 0 {
			return crash
		}
		return nil
	}
	crashes := 0
	for {
		_, err := job.Run(t.Context(), pool, options(rejects, sink(pool, sometimes, sometimes)))
		if err == nil {
			break
		}
		if !errors.Is(err, crash) {
			t.Fatal(err)
		}
		if crashes++; crashes > 200 {
			t.Fatal("no end in sight")
		}
		if rng.IntN(2) == 0 { // what a power cut may leave at the end of the file
			appendTo(t, rejects, "7,\"not\r\n")
		}
	}
	if crashes == 0 {
		t.Log("no crash drawn this time")
	}
	wholeOnce(t, pool, rejects)
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// TestKilledProcess kills the importing process itself at 20, 50 and 80 %.
func TestKilledProcess(t *testing.T) {
	url := pgtest.URL(t)
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(t.Context(), `CREATE TABLE sunk (n bigint)`); err != nil {
		t.Fatal(err)
	}
	rejects := filepath.Join(t.TempDir(), "rejects.csv")
	for _, share := range []int{20, 50, 80, 101} {
		runChild(t, url, rejects, total*share/100)
	}
	wholeOnce(t, pool, rejects)
}

// runChild runs the import in a process of its own and kills it once it has told
// of row killAt.
func runChild(t *testing.T, url, rejects string, killAt int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), childVar+"="+url+"\n"+rejects+"\n"+strconv.Itoa(killAt))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if n, err := strconv.Atoi(lines.Text()); err == nil && n >= killAt {
			_ = cmd.Process.Kill()
			break
		}
	}
	_, _ = io.Copy(io.Discard, out)
	if err := cmd.Wait(); (err != nil) != (killAt <= total) {
		t.Fatalf("killed at %d: %v", killAt, err)
	}
}

// TestChild is the process that TestKilledProcess kills; alone it does nothing. One that
// is to be killed waits for it before the end, which it else might reach first.
func TestChild(t *testing.T) {
	told := strings.Split(os.Getenv(childVar), "\n")
	if len(told) != 3 {
		t.Skip("only for TestKilledProcess")
	}
	url, rejects := told[0], told[1]
	killAt, err := strconv.Atoi(told[2])
	if err != nil {
		t.Fatal(err)
	}
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	o := options(rejects, sink(pool, fine, fine))
	o.Progress = func(p job.Progress) {
		fmt.Println(p.Counts.Rows())
		if killAt <= total && p.Counts.Rows() >= total-100 {
			time.Sleep(time.Minute)
		}
	}
	deadline := time.Now().Add(time.Minute)
	for {
		_, err := job.Run(t.Context(), pool, o)
		if errors.Is(err, job.ErrBusy) && time.Now().Before(deadline) {
			time.Sleep(20 * time.Millisecond) // the server has not yet noticed that the killed process is gone
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
}

func TestStopFinishesTheBatchAndGoesOnLater(t *testing.T) {
	pool, rejects := newSink(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	o := options(rejects, sink(pool, fine, fine))
	o.Progress = func(p job.Progress) {
		if p.Counts.Rows() == 500 {
			stop()
		}
	}
	res, err := job.Run(ctx, pool, o)
	if !errors.Is(err, job.ErrStopped) || res.Counts.Rows() != 500 {
		t.Fatalf("result %+v, error %v", res, err)
	}
	res, err = job.Run(t.Context(), pool, o)
	if err != nil || res.Skipped != 500 || res.Counts.Rows() != total {
		t.Fatalf("result %+v, error %v", res, err)
	}
	wholeOnce(t, pool, rejects)
}

func TestRowsBeforeABrokenOneAreKept(t *testing.T) {
	pool, rejects := newSink(t)
	o := options(rejects, sink(pool, fine, fine))
	o.Rows = numbers(778)
	res, err := job.Run(t.Context(), pool, o)
	if !errors.Is(err, errCut) || res.Counts.Rows() != 777 {
		t.Fatalf("result %+v, error %v", res, err)
	}
	var state, why string
	if err := pool.QueryRow(t.Context(), `SELECT state, error FROM import_job`).Scan(&state, &why); err != nil || state != "failed" || !strings.Contains(why, "cut off") {
		t.Errorf("job %s %q, %v", state, why, err)
	}
	o.Rows = numbers(0)
	if _, err := job.Run(t.Context(), pool, o); err != nil {
		t.Fatal(err)
	}
	wholeOnce(t, pool, rejects)
}

func TestASecondRunnerIsRefused(t *testing.T) {
	pool, rejects := newSink(t)
	var second error
	inner := sink(pool, fine, fine)
	o := options(rejects, nil)
	o.Commit = func(ctx context.Context, b *job.Batch[int64]) error {
		if b.First == 1 {
			_, second = job.Run(ctx, pool, o)
		}
		return inner(ctx, b)
	}
	if _, err := job.Run(t.Context(), pool, o); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(second, job.ErrBusy) {
		t.Errorf("the second runner: %v", second)
	}
	wholeOnce(t, pool, rejects)
}

func TestCommitMustAccountForEveryRow(t *testing.T) {
	pool, rejects := newSink(t)
	o := options(rejects, func(ctx context.Context, b *job.Batch[int64]) error {
		return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			b.Counts.InGrid = int64(len(b.Rows)) - 1
			return b.Advance(ctx, tx)
		})
	})
	if _, err := job.Run(t.Context(), pool, o); err == nil || !strings.Contains(err.Error(), "accounted") {
		t.Errorf("a batch with a row unaccounted for: %v", err)
	}
	o.Commit = func(context.Context, *job.Batch[int64]) error { return nil }
	if _, err := job.Run(t.Context(), pool, o); err == nil || !strings.Contains(err.Error(), "Advance") {
		t.Errorf("a commit without Advance: %v", err)
	}
}

func TestRejectFileOfSomebodyElseIsNotWrittenOver(t *testing.T) {
	pool, rejects := newSink(t)
	if err := os.WriteFile(rejects, []byte("my notes\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := job.Run(t.Context(), pool, options(rejects, sink(pool, fine, fine))); err == nil || !strings.Contains(err.Error(), "another file") {
		t.Errorf("error %v", err)
	}
	if text, err := os.ReadFile(rejects); err != nil || string(text) != "my notes\n" {
		t.Errorf("the file now holds %q, %v", text, err)
	}
}

func TestLostRejectFileIsTold(t *testing.T) {
	pool, rejects := newSink(t)
	o := options(rejects, sink(pool, fine, fine))
	o.Rows = numbers(501)
	if _, err := job.Run(t.Context(), pool, o); !errors.Is(err, errCut) {
		t.Fatal(err)
	}
	if err := os.Remove(rejects); err != nil {
		t.Fatal(err)
	}
	o.Rows = numbers(0)
	res, err := job.Run(t.Context(), pool, o)
	if err != nil || res.RejectsLost != 71 {
		t.Errorf("lost %d, want 71; %v", res.RejectsLost, err)
	}
	text, err := os.ReadFile(rejects)
	if err != nil || !strings.HasPrefix(string(text), header+rejectRecord(504)) {
		t.Errorf("the new reject file starts %.40q, %v", text, err)
	}
}

func TestMarkDead(t *testing.T) {
	pool, rejects := newSink(t)
	o := options(rejects, nil)
	inner := sink(pool, fine, fine)
	o.Commit = func(ctx context.Context, b *job.Batch[int64]) error {
		if b.First == 1 {
			if _, err := pool.Exec(ctx, `INSERT INTO import_job (kind, fingerprint, file_name) VALUES ('test', 'other', 'x')`); err != nil {
				return err
			}
			if _, err := pool.Exec(ctx, `UPDATE import_job SET updated_at = now() - interval '1 hour'`); err != nil {
				return err
			}
			if n, err := job.MarkDead(ctx, pool); err != nil || n != 1 {
				t.Errorf("marked %d, want the one nobody runs; %v", n, err)
			}
		}
		return inner(ctx, b)
	}
	if _, err := job.Run(t.Context(), pool, o); err != nil {
		t.Fatal(err)
	}
	var dead string
	if err := pool.QueryRow(t.Context(), `SELECT state FROM import_job WHERE fingerprint = 'other'`).Scan(&dead); err != nil || dead != "failed" {
		t.Errorf("the dead job is %q, %v", dead, err)
	}
}
