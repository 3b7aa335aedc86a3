// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// attributeText is the encoding of the texts of a .dbf.
type attributeText struct {
	name string   // for people
	enc  encoding // ascii: nothing but ASCII was found
	why  string   // when the file names no encoding that we read: what to do about it
	from string   // who named it: "--encoding", "the .cpg", "the .dbf"
}

// encodingNames are the names of encodings as .cpg files spell them, letters and
// digits only.
var encodingNames = map[string]encoding{
	"utf8": utf8Text, "65001": utf8Text, "cp65001": utf8Text,
	"gbk": gb18030, "gb2312": gb18030, "936": gb18030, "cp936": gb18030, "ansi936": gb18030, "windows936": gb18030, "euccn": gb18030,
	"gb18030": gb18030, "54936": gb18030, "cp54936": gb18030,
	"ascii": ascii, "usascii": ascii, "20127": ascii,
}

// languageBytes are the language drivers of a .dbf that name one of our encodings.
var languageBytes = map[byte]encoding{0x4d: gb18030, 0x7a: gb18030}

// attributeEncoding decides on the encoding: what the user says, else the .cpg,
// else the language byte of the .dbf. A name that we can't read, or none, is no
// fault until a text needs it.
func attributeEncoding(given, cpg string, language byte) (*attributeText, error) {
	if given != "" {
		enc, ok := encodingNames[letters(given)]
		if !ok {
			return nil, fmt.Errorf("--encoding %q: say UTF-8, GBK or GB18030", given)
		}
		return &attributeText{name: enc.String(), enc: enc, from: "--encoding"}, nil
	}
	if cpg = strings.TrimSpace(cpg); cpg != "" {
		if enc, ok := encodingNames[letters(cpg)]; ok {
			return &attributeText{name: enc.String(), enc: enc, from: "the .cpg"}, nil
		}
		return &attributeText{name: "ascii", why: fmt.Sprintf("the .cpg says %.40q, which is not read here", cpg)}, nil
	}
	if enc, ok := languageBytes[language]; ok {
		return &attributeText{name: enc.String(), enc: enc, from: "the .dbf"}, nil
	}
	return &attributeText{name: "ascii", why: "there is no .cpg, and the .dbf names no encoding"}, nil
}

// open says that the encoding is not known yet.
func (t *attributeText) open() bool { return t.enc == ascii }

// settle looks through a .dbf for a text that is not ASCII, when nobody has named
// an encoding for it: then it refuses, and says what the text looks like.
func (t *attributeText) settle(dbf io.Reader) error {
	head := make([]byte, 32)
	if _, err := io.ReadFull(dbf, head); err != nil {
		return fmt.Errorf("the .dbf has no whole header: %w", err)
	}
	buf := make([]byte, sampleSize)
	for {
		n, err := io.ReadFull(dbf, buf)
		if !isASCII(buf[:n]) {
			why := t.why
			if why == "" {
				why = t.from + " says that there is only ASCII"
			}
			at := bytes.IndexFunc(buf[:n], func(r rune) bool { return r >= utf8.RuneSelf })
			return fmt.Errorf("the encoding of the attributes is not known: %s. The text looks like %s: say --encoding %s if it is",
				why, strings.ToUpper(guess(buf[at:n], nil).String()), strings.ToUpper(guess(buf[at:n], nil).String()))
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return fmt.Errorf("the .dbf: %w", err)
		}
	}
}

// decode makes text of the bytes of a cell. full says that they fill the column:
// then a last character that the writer has cut in two is taken off, and cut says
// so.
func (t *attributeText) decode(b []byte, full bool) (text string, cut bool, err error) {
	if isASCII(b) {
		return string(b), false, nil
	}
	if s, ok := t.text(b); ok {
		return s, false, nil
	}
	if full {
		for tail := 1; tail <= min(3, len(b)); tail++ {
			if s, ok := t.text(b[:len(b)-tail]); ok && t.begins(b[len(b)-tail:]) {
				return s, true, nil
			}
		}
	}
	return "", false, fmt.Errorf("the text %.40q is not %s, as %s says: name the right encoding with --encoding", b, strings.ToUpper(t.name), t.from)
}

// begins says that b may be the beginning of a character, without its end.
func (t *attributeText) begins(b []byte) bool {
	if t.enc == utf8Text {
		return utf8.RuneStart(b[0]) && !utf8.FullRune(b)
	}
	return b[0] > 0x80 && b[0] < 0xff
}

func (t *attributeText) text(b []byte) (string, bool) {
	if t.enc == gb18030 {
		s, err := simplifiedchinese.GB18030.NewDecoder().Bytes(b)
		return string(s), err == nil && !bytes.ContainsRune(s, utf8.RuneError)
	}
	return string(b), t.enc == utf8Text && utf8.Valid(b)
}
