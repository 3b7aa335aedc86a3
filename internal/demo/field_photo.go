// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// photo sends a made-up picture of an offer's incident, by tus in one part.
func (t *tasks) photo(ctx context.Context, o offered) error {
	raw, err := picture(t.p.rng)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(raw)
	var meta []string
	for _, kv := range [][2]string{
		{"filetype", "image/jpeg"},
		{"sha256", hex.EncodeToString(sum[:])},
		{"client_ref", "photo-" + o.ID},
		{"captured_at", t.p.f.o.Now().UTC().Format(time.RFC3339)},
	} {
		meta = append(meta, kv[0]+" "+base64.StdEncoding.EncodeToString([]byte(kv[1])))
	}
	h, err := t.me.ask(ctx, http.MethodPost, "/api/v1/incidents/"+o.IncidentID+"/attachments", nil, nil,
		"Tus-Resumable", "1.0.0", "Upload-Length", strconv.Itoa(len(raw)), "Upload-Metadata", strings.Join(meta, ","))
	if err != nil {
		return err
	}
	to := h.Get("Location")
	if !strings.HasPrefix(to, "/") {
		return fmt.Errorf("the answer to an upload names no place: %q", to)
	}
	r, err := t.me.c.do(ctx, t.me.token, http.MethodPatch, t.me.c.server+to, raw, map[string]string{
		"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream",
	})
	if err == nil && r.status >= 300 {
		err = refused(r, "PATCH "+to)
	}
	return err
}

// picture draws a gradient: no two of them are the same.
func picture(r *rand.Rand) ([]byte, error) {
	img := image.NewRGBA(image.Rect(0, 0, 96, 72))
	a, b := uint8(r.IntN(256)), uint8(r.IntN(256))
	for y := range 72 {
		for x := range 96 {
			img.SetRGBA(x, y, color.RGBA{a + uint8(x), b + uint8(y), uint8(x + y), 255})
		}
	}
	var out bytes.Buffer
	err := jpeg.Encode(&out, img, nil)
	return out.Bytes(), err
}
