// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// recordSeparator stands before every text of a GeoJSONSeq file (RFC 8142).
const recordSeparator = 0x1e

// featureBytes is the size up to which one feature of a sequence is read.
const featureBytes = 64 << 20

// sequence reads features one by one: each behind a record separator, as RFC 8142
// has it, or each on a line of its own, as most programs write it.
type sequence struct {
	in     *bufio.Reader
	lim    Limits
	marked bool // by record separators
	begun  bool
	n      int64
}

func newSequence(in *bufio.Reader, lim Limits) *sequence { return &sequence{in: in, lim: lim} }

// next returns the text of the next feature. A text that is no JSON is an error
// that names its number: a file cut off in the middle must not pass for a whole
// one.
func (s *sequence) next() ([]byte, error) {
	if !s.begun {
		s.begun = true
		if head, _ := s.in.Peek(3); bytes.Equal(head, []byte("\xef\xbb\xbf")) {
			_, _ = s.in.Discard(3) // peeked
		}
		head, _ := s.in.Peek(1)
		s.marked = len(head) == 1 && head[0] == recordSeparator
	}
	for {
		text, err := s.record()
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("after feature %d: %w", s.n, err)
		}
		if len(text) == 0 {
			if err != nil {
				return nil, io.EOF
			}
			continue
		}
		s.n++
		switch {
		case s.n > s.lim.Rows:
			return nil, fmt.Errorf("the file has more than %d features", s.lim.Rows)
		case !json.Valid(text):
			return nil, fmt.Errorf("feature %d is not GeoJSON, or is cut off: %.60q", s.n, text)
		}
		return text, nil
	}
}

// record is the text up to the next mark, spaces and marks taken off.
func (s *sequence) record() ([]byte, error) {
	mark := byte('\n')
	if s.marked {
		mark = recordSeparator
	}
	var text []byte
	for {
		part, err := s.in.ReadSlice(mark)
		text = append(text, part...)
		switch {
		case len(text) > featureBytes:
			return nil, fmt.Errorf("a feature of more than %d MiB", featureBytes>>20)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		}
		return bytes.Trim(text, " \t\r\n\x1e"), err
	}
}
