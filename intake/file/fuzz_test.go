// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"onemap/geo"
	"onemap/geo/grid"
)

// stored is a zip of these files, names and contents in turn, nothing packed.
func stored(t testing.TB, files ...string) *bytes.Reader {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, err := z.CreateHeader(&zip.FileHeader{Name: files[i], Method: zip.Store})
		if err == nil {
			_, err = io.WriteString(w, files[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b.Bytes())
}

// FuzzShapefile: whatever the four files hold, reading ends, and what is read is on
// earth.
func FuzzShapefile(f *testing.F) {
	shp := make([]byte, 100, 400)
	binary.BigEndian.PutUint32(shp, 9994)
	shp[32] = 5
	record := append([]byte{5, 0, 0, 0}, make([]byte, 32)...)
	record = append(record, 1, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0)
	for _, p := range []float64{107, 38, 107, 39, 108, 39, 107, 38} {
		record, _ = binary.Append(record, binary.LittleEndian, p) // a float always fits
	}
	shp = append(shp, 0, 0, 0, 1, 0, 0, 0, byte(len(record)/2))
	shp = append(shp, record...)
	binary.BigEndian.PutUint32(shp[24:], uint32(len(shp)/2))

	dbf := make([]byte, 64, 80)
	dbf[4], dbf[8], dbf[10] = 1, 65, 5
	copy(dbf[32:], "code\x00\x00\x00\x00\x00\x00\x00C")
	dbf[48] = 4
	dbf = append(dbf, "\r 1\xc6\xec "...)
	const degrees = `GEOGCS["x",DATUM["D_China_2000",SPHEROID["CGCS2000",6378137.0,298.257222101]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]]`
	const metres = `PROJCS["x",` + degrees + `,PROJECTION["Gauss_Kruger"],PARAMETER["False_Easting",500000.0],PARAMETER["Central_Meridian",108.0],UNIT["Meter",1.0]]`
	for _, seed := range [][2]string{{degrees, "GBK"}, {metres, "GBK"}} { // each opens, or it tries nothing
		r := stored(f, "a.shp", string(shp), "a.dbf", string(dbf), "a.prj", seed[0], "a.cpg", seed[1])
		z, err := openZip(r, r.Size(), PackedLimits)
		if err != nil {
			f.Fatal(err)
		}
		l, err := openShapefile(z, "", PackedLimits)
		if err != nil {
			f.Fatalf("the seed %.20s does not open: %v", seed[0], err)
		}
		if ds, err := ReadBoundaries(&collection{next: l.next}, BoundaryOptions{Datum: l.datum, Level: 1, Name: "code"}); seed[0] == degrees && (err != nil || len(ds) != 1) {
			f.Fatalf("of the seed in degrees %d grids are read: %v", len(ds), err)
		}
		f.Add(shp, dbf, []byte(seed[0]), []byte(seed[1]))
	}
	f.Fuzz(func(t *testing.T, shp, dbf, prj, cpg []byte) {
		r := stored(t, "a.shp", string(shp), "a.dbf", string(dbf), "a.prj", string(prj), "a.cpg", string(cpg))
		z, err := openZip(r, r.Size(), PackedLimits)
		if err != nil {
			t.Fatal(err)
		}
		l, err := openShapefile(z, "", PackedLimits)
		if err != nil {
			return
		}
		ds, err := ReadBoundaries(&collection{next: l.next}, BoundaryOptions{Datum: l.datum, Level: 1, Name: "code"})
		if err != nil {
			return
		}
		l.notes()
		for _, d := range ds {
			for _, part := range d.Geom {
				for _, ring := range part {
					for _, p := range ring {
						if !geo.OnEarth(p) {
							t.Errorf("read the place %v", p)
						}
					}
				}
			}
		}
		grid.Check(ds) // must return
	})
}

// FuzzSequence: every feature comes out, in JSON that can be read, or none.
func FuzzSequence(f *testing.F) {
	f.Add([]byte("{\"type\":\"Feature\"}\n{\"type\":\"Feature\"}"))
	f.Add([]byte("\x1e{\"type\":\"Feature\",\"geometry\":{\"type\":\"Point\",\"coordinates\":[1,2]}}\n\x1e{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s := newSequence(bufio.NewReader(bytes.NewReader(text)), PackedLimits)
		all, err := io.ReadAll(&collection{next: s.next})
		if err != nil {
			return
		}
		var c struct{ Features []json.RawMessage }
		if err := json.Unmarshal(all, &c); err != nil || int64(len(c.Features)) != s.n {
			t.Errorf("%d features of %d, %v", len(c.Features), s.n, err)
		}
	})
}

const (
	plainTypes = `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>`
	plainBook  = `<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="s" sheetId="1" r:id="r1"/></sheets></workbook>`
	plainRoot  = `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>`
	plainLinks = `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>`
	plainSheet = `<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>a</t></is></c><c r="B1" t="s"><v>0</v></c></row><row r="3"><c r="A3" s="1"><v>45352.5</v></c></row></sheetData></worksheet>`
	plainTexts = `<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><si><t>b</t></si></sst>`
	plainStyle = `<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>`
)

// TestWorkbookLinksStayInside: a list of links that names other parts than those we
// look through is refused.
func TestWorkbookLinksStayInside(t *testing.T) {
	open := func(root, links string) error {
		r := stored(t, "[Content_Types].xml", plainTypes, "_rels/.rels", root, "xl/workbook.xml", plainBook, "xl/_rels/workbook.xml.rels", links,
			"xl/worksheets/sheet1.xml", plainSheet, "xl/sharedStrings.xml", plainTexts, "xl/styles.xml", plainStyle,
			"other/workbook.xml", plainBook, "other/_rels/workbook.xml.rels", plainLinks, "other/sheet1.xml", plainSheet)
		z, err := openZip(r, r.Size(), PackedLimits)
		if err != nil {
			t.Fatal(err)
		}
		w, err := openWorkbook(r, r.Size(), z, "", PackedLimits)
		if err == nil {
			_ = w.Close()
		}
		return err
	}
	for _, good := range []string{"worksheets/sheet1.xml", "/xl/worksheets/sheet1.xml", "./worksheets/../worksheets/sheet1.xml"} {
		if err := open(plainRoot, strings.Replace(plainLinks, "worksheets/sheet1.xml", good, 1)); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	if err := open(strings.Replace(plainRoot, "xl/workbook.xml", "other/workbook.xml", 1), plainLinks); err == nil || !strings.Contains(err.Error(), "other/workbook.xml") {
		t.Errorf("another workbook: %v", err)
	}
	for _, bad := range []string{"../other/sheet1.xml", "/other/sheet1.xml", `..\other\sheet1.xml`, "../../etc/passwd", `worksheets/sheet1.xml" TargetMode="External`} {
		err := open(plainRoot, strings.Replace(plainLinks, "worksheets/sheet1.xml", bad, 1))
		if err == nil || !strings.Contains(err.Error(), "xl/_rels/workbook.xml.rels in the workbook names") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// FuzzWorkbook: whatever sheet, texts and styles hold, reading ends, and good rows
// have as many cells as there are columns.
func FuzzWorkbook(f *testing.F) {
	f.Add(plainSheet, plainTexts, plainStyle)
	f.Fuzz(func(t *testing.T, sheet, texts, style string) {
		r := stored(t, "[Content_Types].xml", plainTypes, "_rels/.rels", plainRoot, "xl/workbook.xml", plainBook, "xl/_rels/workbook.xml.rels", plainLinks,
			"xl/worksheets/sheet1.xml", sheet, "xl/sharedStrings.xml", texts, "xl/styles.xml", style)
		z, err := openZip(r, r.Size(), PackedLimits)
		if err != nil {
			t.Fatal(err)
		}
		w, err := openWorkbook(r, r.Size(), z, "", PackedLimits)
		if err != nil {
			if sheet == plainSheet && texts == plainTexts && style == plainStyle {
				t.Error(err)
			}
			return
		}
		defer w.Close()
		for range 10_000 {
			row, err := w.Next()
			if errors.Is(err, io.EOF) || err != nil {
				return
			}
			if row.Fault == "" && len(row.Cells) != len(w.header) {
				t.Errorf("row %+v", row)
			}
		}
	})
}
