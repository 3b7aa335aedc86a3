// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"compress/gzip"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"

	"onemap/tiles/base"
)

// TestABaseTileIsNeverCut: who doesn't take it packed is told that it is too large.
func TestABaseTileIsNeverCut(t *testing.T) {
	for size, want := range map[int]int{1 << 20: 200, 17 << 20: 503} {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		c, _ := gin.CreateTestContext(w)
		c.Request = httptest.NewRequest("GET", "/tiles/base/9/1/1", nil)
		(&Server{}).sendTile(c, base.Tile{Data: b.Bytes(), Type: "application/vnd.mapbox-vector-tile", Gzip: true})
		c.Writer.Flush()
		if w.Code != want || want == 200 && w.Body.Len() != size {
			t.Errorf("%d bytes: %d with %d", size, w.Code, w.Body.Len())
		}
	}
}
