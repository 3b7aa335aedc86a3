// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"
	"pgregory.net/rapid"
)

// readAll returns every row of text and the error that ended the reading.
func readAll(t testing.TB, text []byte, lim Limits) (*Reader, []Row, error) {
	t.Helper()
	r, err := NewReader(bytes.NewReader(text), int64(len(text)), false, lim)
	if err != nil {
		return nil, nil, err
	}
	return drain(r)
}

func drain(r *Reader) (*Reader, []Row, error) {
	var rows []Row
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return r, rows, nil
		}
		if err != nil {
			return r, rows, err
		}
		rows = append(rows, row)
	}
}

func gb(t testing.TB, s string) []byte {
	t.Helper()
	b, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func gz(t testing.TB, b []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestReader(t *testing.T) {
	tests := []struct {
		name  string
		text  []byte
		enc   string
		rows  [][]string
		lines []int64
	}{
		{"plain LF, last line without an end", []byte("a,b\n1,2\n3,4"), "ascii", [][]string{{"1", "2"}, {"3", "4"}}, []int64{2, 3}},
		{"CRLF and empty lines", []byte("a,b\r\n\r\n1,2\r\n\r\n"), "ascii", [][]string{{"1", "2"}}, []int64{3}},
		{"quotes, commas and line breaks inside", []byte("a,b\n\"x,\"\"y\"\"\",\"p\nq\"\n3,4\n"), "ascii", [][]string{{`x,"y"`, "p\nq"}, {"3", "4"}}, []int64{2, 4}},
		{"empty cells", []byte("a,b\n,\n\"\",\n"), "ascii", [][]string{{"", ""}, {"", ""}}, []int64{2, 3}},
		{"UTF-8", []byte("标题,地址\n井盖缺失,巴音路\n"), "utf-8", [][]string{{"井盖缺失", "巴音路"}}, []int64{2}},
		{"UTF-8 with byte mark", []byte("\xef\xbb\xbfa,b\n1,2\n"), "utf-8", [][]string{{"1", "2"}}, []int64{2}},
		{"GBK", gb(t, "标题,地址\n井盖缺失,巴音路\n"), "gb18030", [][]string{{"井盖缺失", "巴音路"}}, []int64{2}},
		{"GBK that is UTF-8 by chance in its first word", gb(t, "a,b\n联通,移动\n井盖缺失,巴音路\n"), "gb18030", [][]string{{"联通", "移动"}, {"井盖缺失", "巴音路"}}, []int64{2, 3}},
		{"GB18030 four-byte character, quoted", gb(t, "a,b\n\"𠮷,家\",x\n"), "gb18030", [][]string{{"𠮷,家", "x"}}, []int64{2}},
		{"header only", []byte("a,b\n"), "ascii", nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, rows, err := readAll(t, tt.text, DefaultLimits)
			if err != nil {
				t.Fatal(err)
			}
			if r.Encoding() != tt.enc {
				t.Errorf("encoding %s, want %s", r.Encoding(), tt.enc)
			}
			if len(rows) != len(tt.rows) {
				t.Fatalf("%d rows, want %d: %+v", len(rows), len(tt.rows), rows)
			}
			for i, row := range rows {
				if row.N != int64(i+1) || row.Line != tt.lines[i] || row.Fault != "" || !slices.Equal(row.Cells, tt.rows[i]) {
					t.Errorf("row %+v, want number %d, line %d, cells %q", row, i+1, tt.lines[i], tt.rows[i])
				}
			}
			if read, total := r.Progress(); read != total {
				t.Errorf("read %d of %d bytes", read, total)
			}
		})
	}
}

func TestReaderGoesOnAfterAFaultyRow(t *testing.T) {
	tests := []struct {
		name string
		row  []byte
		why  string
	}{
		{"too few cells", []byte("1"), "2 列"},
		{"too many cells", []byte("1,2,3"), "2 列"},
		{"a bare quote", []byte(`5" pipe,2`), "引号"},
		{"text after a quote", []byte(`"x"y,2`), "引号"},
		{"bytes of no encoding", []byte("\xff\xff\xff,2"), "无法解码"},
		{"GBK in a UTF-8 file", gb(t, "井盖,巴音"), "无法解码"},
		{"a NUL", []byte("1\x00,2"), "NUL"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := slices.Concat([]byte("标题,b\n好,1\n"), tt.row, []byte("\n也好,2\n"))
			_, rows, err := readAll(t, text, DefaultLimits)
			if err != nil || len(rows) != 3 {
				t.Fatalf("%d rows, error %v", len(rows), err)
			}
			if rows[0].Fault != "" || rows[2].Fault != "" || rows[2].Cells[0] != "也好" {
				t.Errorf("the good rows: %+v", rows)
			}
			if rows[1].Line != 3 || !strings.Contains(rows[1].Fault, tt.why) {
				t.Errorf("row 2: %+v, want a fault about %s in line 3", rows[1], tt.why)
			}
		})
	}
}

func TestReaderRefuses(t *testing.T) {
	lim := Limits{RowBytes: 100, Rows: 3, Columns: 4, Unpacked: 1 << 20, Ratio: 100}
	tests := []struct {
		name, text, want string
		rows             int // good rows before the refusal
	}{
		{"an empty file", "", "empty", 0},
		{"UTF-16", "\xff\xfea\x00", "UTF-16", 0},
		{"one name twice", "a,a\n", "two columns", 0},
		{"bare CR line ends", "a,b\r1,2\r", "bare CR", 0},
		{"too many columns", "a,b,c,d,e\n", "4 列", 0},
		{"a quote that never closes", "a,b\n1,2\n\"x,3\n", "never closes", 1},
		{"a row over the limit", "a,b\n1,2\n" + strings.Repeat("x", 200) + ",1\n", "more than 100 bytes", 1},
		{"a quote that swallows the file", "a,b\n1,2\n\"" + strings.Repeat("x\n", 100), "more than 100 bytes", 1},
		{"too many rows", "a,b\n1,2\n1,2\n1,2\n1,2\n", "more than 3 rows", 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, rows, err := readAll(t, []byte(tt.text), lim)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one about %q", err, tt.want)
			}
			if len(rows) != tt.rows {
				t.Errorf("%d rows before it, want %d", len(rows), tt.rows)
			}
		})
	}
}

func TestTruncatedGzipKeepsTheRowsBefore(t *testing.T) {
	var text bytes.Buffer
	text.WriteString("a,b\n")
	for i := range 50_000 {
		text.WriteString(strings.Repeat(string(rune('a'+i%26)), 1+i%40) + "," + strings.Repeat("7", i%13) + "\n")
	}
	packed := gz(t, text.Bytes())
	_, whole, err := readAll(t, text.Bytes(), DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "cut.csv.gz")
	if err := os.WriteFile(path, packed[:len(packed)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_, rows, err := drain(r)
	if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "cut off") {
		t.Fatalf("error %v, want a cut-off file", err)
	}
	if len(rows) == 0 || len(rows) >= len(whole) {
		t.Fatalf("%d rows of %d", len(rows), len(whole))
	}
	for i, row := range rows {
		if !slices.Equal(row.Cells, whole[i].Cells) {
			t.Fatalf("row %d is %q, want %q", i+1, row.Cells, whole[i].Cells)
		}
	}
	if _, again := r.Next(); again == nil || again.Error() != err.Error() {
		t.Errorf("the error does not stay: %v", again)
	}
}

func TestGzipBombIsRefused(t *testing.T) {
	packed := gz(t, append([]byte("a,b\n"), bytes.Repeat([]byte("1,"+strings.Repeat("2", 1000)+"\n"), 1<<15)...))
	lim := DefaultLimits
	r, err := NewReader(bytes.NewReader(packed), 0, true, lim)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := drain(r); err == nil || !strings.Contains(err.Error(), "times its size") {
		t.Errorf("error %v after %d bytes", err, len(packed))
	}
	lim.Unpacked = 1 << 20
	if r, err = NewReader(bytes.NewReader(packed), 0, true, lim); err != nil {
		t.Fatal(err)
	}
	if _, _, err := drain(r); err == nil || !strings.Contains(err.Error(), "more than 1048576 bytes") {
		t.Errorf("error %v", err)
	}
}

func TestNotGzip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.csv.gz")
	if err := os.WriteFile(path, []byte("a,b\n1,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "gzip") {
		t.Errorf("error %v", err)
	}
}

// TestReadsBackWhatAnotherWriterWrote holds the reader against encoding/csv.
func TestReadsBackWhatAnotherWriterWrote(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cell := rapid.StringOf(rapid.RuneFrom([]rune("a1,\"\n'= 井联旗€")))
		width := rapid.IntRange(2, 5).Draw(t, "width")
		rows := rapid.SliceOfN(rapid.SliceOfN(cell, width, width), 1, 20).Draw(t, "rows")
		var buf bytes.Buffer
		w := csv.NewWriter(&buf)
		w.UseCRLF = rapid.Bool().Draw(t, "crlf")
		head := []string{"c1", "c2", "c3", "c4", "c5"}[:width]
		if err := w.WriteAll(append([][]string{head}, rows...)); err != nil {
			t.Fatal(err)
		}
		text := buf.Bytes()
		if rapid.Bool().Draw(t, "mark") {
			text = append([]byte("\xef\xbb\xbf"), text...)
		}
		r, err := NewReader(bytes.NewReader(text), 0, false, DefaultLimits)
		if err != nil {
			t.Fatal(err)
		}
		_, got, err := drain(r)
		if err != nil || len(got) != len(rows) {
			t.Fatalf("%d rows of %d, error %v", len(got), len(rows), err)
		}
		for i := range rows {
			want := slices.Clone(rows[i])
			if w.UseCRLF { // encoding/csv writes a line break in a cell as CRLF then
				for j := range want {
					want[j] = strings.ReplaceAll(want[j], "\n", "\r\n")
				}
			}
			if got[i].Fault != "" || !slices.Equal(got[i].Cells, want) {
				t.Fatalf("row %d: %+v, want %q", i+1, got[i], want)
			}
		}
	})
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("a,b\n1,\"2\n3\"\n"), false)
	f.Add(gb(f, "标题,地址\n井盖,\"巴,音\"\n"), false)
	f.Add(gz(f, []byte("a,b\n1,2\n")), true)
	f.Fuzz(func(t *testing.T, text []byte, packed bool) {
		lim := Limits{RowBytes: 1 << 12, Rows: 1000, Columns: 50, Unpacked: 1 << 20, Ratio: 100}
		r, err := NewReader(bytes.NewReader(text), int64(len(text)), packed, lim)
		if err != nil {
			return
		}
		var n, line int64
		for {
			row, err := r.Next()
			if err != nil {
				break
			}
			n++
			if row.N != n || row.Line <= line || n > lim.Rows {
				t.Fatalf("row %+v after row %d, line %d", row, n-1, line)
			}
			line = row.Line
			if row.Fault == "" && len(row.Cells) != len(r.Header()) {
				t.Fatalf("row %+v under %d columns", row, len(r.Header()))
			}
			if s := strings.Join(row.Cells, ""); row.Fault == "" && (strings.ToValidUTF8(s, "") != s || strings.Contains(s, "\x00")) {
				t.Fatalf("row %+v holds what is no text", row)
			}
		}
	})
}

func TestProgressWhileAnotherReads(t *testing.T) {
	r, err := NewReader(strings.NewReader("a,b\n"+strings.Repeat("1,2\n", 100_000)), 0, false, DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		_, _, err := drain(r)
		done <- err
	}()
	for last := int64(0); ; {
		select {
		case err := <-done:
			if read, _ := r.Progress(); err != nil || read != 400_004 {
				t.Errorf("read %d bytes, %v", read, err)
			}
			return
		default:
			read, _ := r.Progress()
			if read < last {
				t.Fatalf("progress went from %d to %d", last, read)
			}
			last = read
		}
	}
}
