// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"archive/zip"
	"bufio"
	"bytes"
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
	return nil
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

// lastRow is the number of the last row in a sheet's XML.
func lastRow(z *zip.Reader, sheet string) (int64, error) {
	e, err := sheetEntry(z, sheet)
	if err != nil {
		return 0, err
	}
	var last int64
	err = scanTags(e, func(tag []byte) {
		if tagName(tag) == "row" {
			n := rowNumber(tag)
			if n == 0 {
				n = last + 1
			}
			last = max(last, n)
		}
	})
	return last, err
}

// rowNumber is the number in a row's tag, 0 when there is none.
func rowNumber(tag []byte) int64 {
	tag, _, _ = bytes.Cut(tag, []byte(">"))
	_, value, _ := strings.Cut(string(tag), ` r="`)
	value, _, _ = strings.Cut(value, `"`)
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
