// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
)

const (
	maxNesting    = 100       // elements in one another; a sheet has seven or so
	maxSharedText = 2_000_000 // texts that cells share
	maxText       = 1 << 20   // bytes of a tag and the text behind it
	maxPart       = 8 << 20   // bytes of a part that is held in memory as a tree
	maxSheetRows  = 1_048_576 // rows of a sheet
)

// checkParts looks through the parts of a workbook before the library does, for
// what would cost it memory or time without end: the library holds styles and
// shared texts in memory, and the XML decoder every open element and every text.
func checkParts(z *zip.Reader) error {
	for _, e := range z.File {
		name := strings.ToLower(strings.ReplaceAll(e.Name, `\`, "/"))
		switch {
		case name == "xl/sharedstrings.xml":
			n := 0
			err := scanTags(e, func(tag []byte) {
				if tagName(tag) == "si" {
					n++
				}
			})
			if err != nil {
				return err
			}
			if n > maxSharedText {
				return fmt.Errorf("the workbook has %d different texts, more than %d: save it as CSV", n, maxSharedText)
			}
		case name == "xl/styles.xml", name == "xl/workbook.xml", name == "[content_types].xml",
			path.Ext(name) == ".rels", strings.HasPrefix(name, "xl/theme/"):
			if e.UncompressedSize64 > maxPart {
				return fmt.Errorf("%s in the workbook has more than %d MiB: copy the cells to a new workbook", e.Name, maxPart>>20)
			}
			if err := scanTags(e, func([]byte) {}); err != nil {
				return err
			}
		}
	}
	return checkLinks(z)
}

// linkedParts are where the parts of a workbook lie that are read, by what the links
// to them are called: a link to anywhere else would be followed past our checks.
var linkedParts = map[string]map[string]string{
	"_rels/.rels":                {"officeDocument": "xl/workbook.xml"},
	"xl/_rels/workbook.xml.rels": {"sharedStrings": "xl/sharedstrings.xml", "styles": "xl/styles.xml", "worksheet": "xl/"},
}

// checkLinks refuses a workbook whose parts are not where every program puts them.
func checkLinks(z *zip.Reader) error {
	for _, e := range z.File {
		places := linkedParts[strings.ToLower(strings.ReplaceAll(e.Name, `\`, "/"))]
		if places == nil {
			continue
		}
		raw, err := whole(e, maxPart)
		if err != nil {
			return err
		}
		var links struct {
			Links []link `xml:"Relationship"`
		}
		if err := xml.Unmarshal(raw, &links); err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
		for _, l := range links.Links {
			want := places[path.Base(l.Type)]
			if want == "" {
				continue
			}
			from := ""
			if strings.HasPrefix(strings.ToLower(e.Name), "xl") {
				from = "xl"
			}
			if got := strings.ToLower(l.part(from)); l.Mode == "External" || got != want && (!strings.HasSuffix(want, "/") || !strings.HasPrefix(got, want)) {
				return fmt.Errorf("%s in the workbook names %.200q, where no %s belongs: open the workbook and save it anew", e.Name, l.Target, path.Base(l.Type))
			}
		}
	}
	return nil
}

// link is one line of a workbook's list of links between its parts.
type link struct {
	ID     string `xml:"Id,attr"`
	Type   string `xml:"Type,attr"`
	Target string `xml:"Target,attr"`
	Mode   string `xml:"TargetMode,attr"`
}

// part is the name of what l leads to, from a part in the folder from.
func (l link) part(from string) string {
	target := strings.ReplaceAll(l.Target, `\`, "/")
	if strings.HasPrefix(target, "/") {
		return path.Clean(target[1:])
	}
	return path.Join(from, target)
}

// scanTags gives every tag of an XML file of a zip: what stands between its "<" and
// the next one, 64 KiB of it at most. Elements that lie too deep in one another, and
// texts that are too long, are errors.
func scanTags(e *zip.File, each func(tag []byte)) error {
	r, err := e.Open()
	if err != nil {
		return fmt.Errorf("%s: %w", e.Name, err)
	}
	defer r.Close()
	in := bufio.NewReaderSize(r, 64<<10)
	depth, size := 0, 0
	for {
		tag, err := in.ReadSlice('<')
		if size == 0 {
			each(tag)
			depth += nesting(tag)
		}
		size += len(tag)
		switch {
		case depth > maxNesting:
			return fmt.Errorf("%s in the workbook has elements more than %d deep in one another", e.Name, maxNesting)
		case size > maxText:
			return fmt.Errorf("%s in the workbook has a text of more than %d bytes", e.Name, maxText)
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil:
			return fmt.Errorf("%s is damaged: %w", e.Name, err)
		}
		size = 0
	}
}

// nesting is 1 for a start tag, -1 for an end tag, 0 for what has no inside.
func nesting(tag []byte) int {
	if len(tag) == 0 || tag[0] == '?' || tag[0] == '!' {
		return 0
	}
	if tag[0] == '/' {
		return -1
	}
	end := bytes.IndexByte(tag, '>')
	if end < 0 || end > 0 && tag[end-1] == '/' {
		return 0
	}
	return 1
}

// tagName is the name of a start tag, without its namespace.
func tagName(tag []byte) string {
	end := bytes.IndexAny(tag, " />\t\r\n")
	if end < 0 {
		return ""
	}
	name := tag[:end]
	return string(name[bytes.LastIndexByte(name, ':')+1:])
}

// lastRow is the number of the last row in a sheet's XML. Rows must have rising
// numbers: the library would put others together without a word, and count up to a
// number that is far too large.
func lastRow(z *zip.Reader, sheet string) (int64, error) {
	e, err := sheetEntry(z, sheet)
	if err != nil {
		return 0, err
	}
	var last int64
	var fault error
	behind := false // drawings behind the cells have rows of their own
	err = scanTags(e, func(tag []byte) {
		if bytes.HasPrefix(tag, []byte("/")) && tagName(tag[1:]) == "sheetData" {
			behind = true
		}
		if behind || fault != nil || tagName(tag) != "row" {
			return
		}
		n, err := rowNumber(tag)
		switch {
		case err != nil:
			fault = fmt.Errorf("sheet %s, after row %d: %w: open the workbook and save it anew", sheet, last, err)
			return
		case n == 0:
			n = last + 1
		}
		switch {
		case n > maxSheetRows:
			fault = fmt.Errorf("sheet %s, after row %d: a row has the number %d, a sheet has %d rows at most", sheet, last, n, maxSheetRows)
		case n <= last:
			fault = fmt.Errorf("sheet %s: row %d stands behind row %d: open the workbook and save it anew", sheet, n, last)
		}
		last = n
	})
	if err == nil {
		err = fault
	}
	return last, err
}

var errRowTag = errors.New("the tag of a row can't be read")

// rowNumber is the number in a row's tag, 0 when there is none. It takes every
// spelling that an XML decoder takes.
func rowNumber(tag []byte) (int64, error) {
	const blank = " \t\r\n"
	at := bytes.IndexAny(tag, blank+"/>")
	if at < 0 {
		return 0, errRowTag
	}
	var n int64
	for {
		tag = bytes.TrimLeft(tag[at:], blank)
		if len(tag) == 0 {
			return 0, errRowTag // cut off, or longer than what scanTags gives
		}
		if tag[0] == '>' || tag[0] == '/' {
			return n, nil
		}
		name, rest, ok := bytes.Cut(tag, []byte("="))
		rest = bytes.TrimLeft(rest, blank)
		if !ok || len(rest) == 0 || rest[0] != '"' && rest[0] != '\'' {
			return 0, errRowTag
		}
		end := bytes.IndexByte(rest[1:], rest[0])
		if end < 0 {
			return 0, errRowTag
		}
		name = bytes.TrimRight(name, blank)
		if string(name[bytes.LastIndexByte(name, ':')+1:]) == "r" {
			value, err := strconv.ParseUint(string(rest[1:1+end]), 10, 63)
			if err != nil || value == 0 || n != 0 {
				return 0, fmt.Errorf("a row has the number %.40q", rest[1:1+end])
			}
			n = int64(value)
		}
		tag, at = rest, end+2
	}
}
