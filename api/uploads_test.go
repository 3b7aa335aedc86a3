// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/base64"
	"errors"
	"math"
	"testing"
)

// FuzzUploadMetadata: whatever is said of a file is understood or refused as its
// sender's matter; a place that is understood is one of its datum.
func FuzzUploadMetadata(f *testing.F) {
	b := base64.StdEncoding.EncodeToString
	f.Add("filetype " + b([]byte("image/jpeg")) + ",lon " + b([]byte("107.2")) + ",lat " + b([]byte("38.2")) + ",crs " + b([]byte("gcj02")))
	f.Add("lon " + b([]byte("NaN")) + ", lat " + b([]byte("1e999")) + ",crs " + b([]byte("wgs84")))
	f.Add("sha256,sha256 ,x =,,")
	f.Fuzz(func(t *testing.T, text string) {
		said, err := metadata(text)
		if err == nil {
			raw, perr := saidPlace(said)
			if err = perr; err == nil && raw != nil {
				if w, werr := raw.WGS84(); werr != nil || math.IsNaN(w[0]+w[1]) {
					t.Fatalf("%+v is no place: %v", raw, werr)
				}
			}
		}
		var p *Problem
		if err != nil && (!errors.As(err, &p) || p.Status != 400 && p.Status != 422) {
			t.Fatalf("%v", err)
		}
	})
}
