// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"bufio"
	"bytes"
	"errors"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// sampleSize is how many bytes are looked at to tell UTF-8 from GB18030.
const sampleSize = 64 << 10

// encoding is the text encoding of a file, found out from its bytes. It stays
// ascii until the first byte that is not, and never changes after that.
type encoding int

const (
	ascii encoding = iota
	utf8Text
	gb18030
)

func (e encoding) String() string { return [...]string{"ascii", "utf-8", "gb18030"}[e] }

// start looks at the first bytes of the file: a UTF-8 mark is taken off and
// settles it; UTF-16 is refused, for nothing after it would be readable.
func (e *encoding) start(in *bufio.Reader) error {
	head, _ := in.Peek(3) // a shorter file, or a broken one, shows when it is read
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		*e = utf8Text
		_, err := in.Discard(3)
		return err
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		return errors.New("the file is UTF-16: save it as CSV UTF-8 or as plain (GBK) CSV")
	}
	return nil
}

// decode returns rec as text. ok is false when it is not text in the file's
// encoding. next is what follows rec in the file; it is looked at, not read, when
// the encoding is still open.
func (e *encoding) decode(rec []byte, next *bufio.Reader) (text string, ok bool) {
	if *e == ascii && !isASCII(rec) {
		ahead, _ := next.Peek(max(next.Buffered(), 1)) // what lies in the buffer is enough
		*e = guess(rec, ahead)
	}
	switch *e {
	case ascii:
		return string(rec), true
	case utf8Text:
		return string(rec), utf8.Valid(rec)
	}
	return decodeGB(rec)
}

// guess tells UTF-8 from GB18030 by rec and what follows it. Chinese text in
// GB18030 hardly ever forms the longer sequences of UTF-8, while UTF-8 often is
// GB18030 by chance: so the UTF-8 sequences found are weighed against the bytes
// that are none, and GB18030 is what is left.
func guess(rec, ahead []byte) encoding {
	good, bad := weighUTF8(append(bytes.Clone(rec), ahead...))
	if bad == 0 || good > bad {
		return utf8Text
	}
	return gb18030
}

// weighUTF8 counts the bytes in UTF-8 sequences (half of those in the short ones)
// and the bytes that are no UTF-8; a character cut off by the end of the sample
// is neither.
func weighUTF8(b []byte) (good, bad int) {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case n == 2:
			good++
		case n > 2:
			good += n
		case r == utf8.RuneError && !utf8.FullRune(b):
			return good, bad
		case r == utf8.RuneError:
			bad++
		}
		b = b[n:]
	}
	return good, bad
}

// decodeGB decodes GB18030. The decoder writes U+FFFD for what it can't read; a
// file that holds that character on purpose has lost its text already.
func decodeGB(rec []byte) (string, bool) {
	if isASCII(rec) {
		return string(rec), true
	}
	text, err := simplifiedchinese.GB18030.NewDecoder().Bytes(rec)
	if err != nil || bytes.Contains(text, []byte("\uFFFD")) {
		return "", false
	}
	return string(text), true
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
