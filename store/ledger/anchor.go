// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"onemap/store"
)

// AnchorFile is what the anchor is called in the data folder.
const AnchorFile = "audit.anchor"

// anchor remembers the end of the audit chain outside of the database, so that
// cutting off the newest rows with their seals is noticed. The file has one JSON
// object a line. The last is the end as of the last pass; those before it were
// lost from the chain and stay until a person removes them.
type anchor struct {
	N       int64     `json:"n"`
	Hash    hexBytes  `json:"hash"`
	AuditID int64     `json:"audit_id"`
	At      time.Time `json:"at"`
}

type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// mostAnchors bounds the file.
const mostAnchors = 100

// readAnchors reads the file; none when it is not there or path is "".
func readAnchors(path string) (lines []anchor, err error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(text) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue // a person may have taken lines out
		}
		var a anchor
		if err := json.Unmarshal(line, &a); err != nil || a.N <= 0 || len(a.Hash) != len(chainStart) {
			return nil, fmt.Errorf("anchor %s: line %d is damaged", path, len(lines)+1)
		}
		lines = append(lines, a)
	}
	return lines, nil
}

// writeAnchors replaces the file, so that it is the old or the new one and whole.
// Of too many lost ends the first are kept.
func writeAnchors(path string, lines []anchor) error {
	if len(lines) > mostAnchors {
		lines = append(lines[:mostAnchors-1:mostAnchors-1], lines[len(lines)-1])
	}
	var text bytes.Buffer
	out := json.NewEncoder(&text)
	for _, a := range lines {
		if err := out.Encode(a); err != nil {
			return err
		}
	}
	if err := store.WriteWhole(path, text.Bytes(), true); err != nil {
		return fmt.Errorf("anchor: %w", err)
	}
	return nil
}
