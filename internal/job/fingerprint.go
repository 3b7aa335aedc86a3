// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package job

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"
)

// Fingerprint names an import by what it does: the SHA-256 of the file's bytes,
// the map's bytes and the options that change the outcome. The same file under
// another name is the same import; with another map it is another.
func Fingerprint(path string, columnMap []byte, options ...string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content := sha256.New()
	if _, err := io.Copy(content, f); err != nil {
		return nil, fmt.Errorf("fingerprint %s: %w", path, err)
	}
	sum := sha256.New()
	for _, part := range append([][]byte{content.Sum(nil), columnMap}, bytesOf(options)...) {
		_ = binary.Write(sum, binary.BigEndian, int64(len(part))) // a hash takes every write
		sum.Write(part)
	}
	return sum.Sum(nil), nil
}

func bytesOf(s []string) [][]byte {
	var out [][]byte
	for _, v := range s {
		out = append(out, []byte(v))
	}
	return out
}
