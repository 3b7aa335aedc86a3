// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"

	"onemap/auth"
)

// A drawing that breaks gives its place back: the next ones are drawn.
func TestADrawingThatBreaksKeepsNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Limits{}
		l.setDefaults()
		s := &Server{gates: newGates(l), o: Options{Now: time.Now}}
		places := cap(s.gates.places[drawing])
		tile := func(d drawer) (code int) {
			c, _ := gin.CreateTestContext(httptest.NewRecorder())
			c.Request = httptest.NewRequest("GET", "/tiles/grids/0/0/0.mvt", nil)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			defer func() { _ = recover() }()
			s.drawTile(ctx, c, auth.Actor{ID: "account:1"}, d)
			return c.Writer.Status()
		}
		for range 3*places + 30 {
			tile(func() ([]byte, string, error) { panic("broke") })
			time.Sleep(time.Second)
		}
		if code := tile(func() ([]byte, string, error) { return []byte("x"), `"tag"`, nil }); code != 200 {
			t.Errorf("after many that broke: %d", code)
		}
		time.Sleep(time.Second)
	})
}
