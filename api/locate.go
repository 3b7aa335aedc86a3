// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"onemap/auth"
	"onemap/geo"
	"onemap/geo/grid"
)

// Limits of one batch of places. A place written with 15 digits takes 42 bytes.
const (
	maxPlaces     = 100_000
	maxPlacesBody = 5 << 20
)

// locatePath is the one POST that reads: see classOf.
const locatePath = "/api/v1/grids/locate"

// The two forms of a batch, by the media type of its body; see docs/LOCATE.md.
const (
	jsonForm   = "application/json"
	binaryForm = "application/octet-stream"
)

type locateAllInput struct {
	ContentType string `header:"Content-Type"`
}

type locateAllOutput struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

func (s *Server) locateBatch() {
	pair := &huma.Schema{Type: "array", Items: &huma.Schema{Type: "number"}, MinItems: new(2), MaxItems: new(2)}
	request := &huma.Schema{
		Type: "object", Required: []string{"crs", "points"}, AdditionalProperties: false,
		Properties: map[string]*huma.Schema{
			"crs":    {Type: "string", Description: "What the numbers are, as in a report: wgs84, ..., EPSG:4545-en"},
			"points": {Type: "array", Items: pair, MaxItems: new(maxPlaces), Description: "Longitude first, unless crs says otherwise"},
		},
	}
	answer := &huma.Schema{
		Type: "object", Required: []string{"codes", "on_edge"},
		Properties: map[string]*huma.Schema{
			"codes":   {Type: "array", Items: &huma.Schema{Type: "string", Nullable: true}, Description: "Of the deepest grid each point lies in; null outside the grids the caller sees"},
			"on_edge": {Type: "array", Items: &huma.Schema{Type: "integer"}, Description: "Which points lie on a border, from 0; the grid with the lowest code is taken"},
		},
	}
	bytes := &huma.Schema{Type: "string", Format: "binary", Description: "See docs/LOCATE.md"}
	route(s, need{auth.Read, auth.Grid}, huma.Operation{
		OperationID: "locate-batch", Method: http.MethodPost, Path: locatePath, Tags: []string{"grids"},
		Summary: "The grids that up to 100,000 places lie in", Errors: []int{413, 415, 422}, MaxBodyBytes: maxPlacesBody,
		Responses: map[string]*huma.Response{"200": {
			Description: "OK, in the form of the request",
			Content:     map[string]*huma.MediaType{jsonForm: {Schema: answer}, binaryForm: {Schema: bytes}},
		}},
	}, s.locateAll)
	// Written into the contract afterwards: huma would read and check such a body a
	// second time, by reflection.
	s.huma.OpenAPI().Paths[locatePath].Post.RequestBody = &huma.RequestBody{
		Required: true, Content: map[string]*huma.MediaType{jsonForm: {Schema: request}, binaryForm: {Schema: bytes}},
	}
}

func (s *Server) locateAll(ctx context.Context, a caller, in *locateAllInput) (*locateAllOutput, error) {
	b := batch{tree: s.o.Catalogue.Now().Tree, scope: a.Scope}
	b.state = make([]int32, len(b.tree.Nodes()))
	var err error
	switch mediaType(in.ContentType) {
	case "":
		err = problem(http.StatusBadRequest, "send the places in the body")
	case jsonForm:
		err = b.readJSON(bodyOf(ctx))
	case binaryForm:
		err = b.readBinary(bodyOf(ctx))
	default:
		err = problem(http.StatusUnsupportedMediaType, "send "+jsonForm+" or "+binaryForm)
	}
	if err != nil {
		return nil, err
	}
	out := &locateAllOutput{ContentType: mediaType(in.ContentType)}
	if out.ContentType == jsonForm {
		out.Body, err = b.answerJSON(ctx)
	} else {
		out.Body, err = b.answerBinary(ctx)
	}
	return out, err
}

// batch is many places on their way to the codes of their grids.
type batch struct {
	tree   *grid.Tree
	scope  auth.Scope
	datum  geo.Datum
	places places // in the order of the request
	state  []int32
	codes  []grid.Code // those met so far, by state-1
}

// places are pairs of numbers as they came.
type places interface {
	len() int
	at(i int) (a, b float64)
}

// pairs are places of a JSON request.
type pairs [][2]float64

func (p pairs) len() int                { return len(p) }
func (p pairs) at(i int) (a, b float64) { return p[i][0], p[i][1] }

// packed are places of a binary request: two i32 of 1e-7 degree each.
type packed []byte

func (p packed) len() int { return len(p) / 8 }
func (p packed) at(i int) (a, b float64) {
	lon, lat := binary.LittleEndian.Uint32(p[8*i:]), binary.LittleEndian.Uint32(p[8*i+4:])
	return float64(int32(lon)) / 1e7, float64(int32(lat)) / 1e7
}

// hidden marks a grid that the caller does not see.
const hidden = -1

// each calls visit for every place in turn with its grid's state: the number of
// its code in b.codes and one, or hidden for none. It stops at the deadline.
func (b *batch) each(ctx context.Context, visit func(i int, state int32, edge bool)) error {
	nodes, plain := b.tree.Nodes(), b.datum == geo.DatumWGS84 || b.datum == geo.DatumCGCS2000
	for i := range b.places.len() {
		if i&1023 == 0 && ctx.Err() != nil {
			return retryLater("the server is too busy for so many places now; send fewer, or the same again in a moment")
		}
		lon, lat := b.places.at(i)
		p := geo.WGS84{lon, lat}
		if !plain || !geo.OnEarth(p.Orb()) {
			var err error
			if p, err = (geo.Raw{Lon: lon, Lat: lat, Datum: b.datum}).WGS84(); err != nil {
				return problem(http.StatusUnprocessableEntity, fmt.Sprintf("point %d: %s", i, err))
			}
		}
		f := b.tree.Locate(p)
		if f.Index < 0 {
			visit(i, hidden, false)
			continue
		}
		if b.state[f.Index] == 0 {
			b.state[f.Index] = hidden
			if n := &nodes[f.Index]; b.scope.Sees(n.No) {
				b.codes = append(b.codes, n.Code)
				b.state[f.Index] = int32(len(b.codes))
			}
		}
		state := b.state[f.Index]
		visit(i, state, f.OnEdge && state != hidden)
	}
	return nil
}

// answerJSON is {"codes":["1506..",null,..],"on_edge":[i,..]}.
func (b *batch) answerJSON(ctx context.Context) ([]byte, error) {
	out := make([]byte, 0, 24*b.places.len()+64)
	out = append(out, `{"codes":[`...)
	var edges []int
	var quoted [][]byte // of b.codes, with a comma before
	err := b.each(ctx, func(i int, state int32, edge bool) {
		if edge {
			edges = append(edges, i)
		}
		if state == hidden {
			out = append(out, ",null"...)
			return
		}
		for len(quoted) < int(state) {
			text, _ := json.Marshal(b.codes[len(quoted)]) // a string always can be
			quoted = append(quoted, append([]byte{','}, text...))
		}
		out = append(out, quoted[state-1]...)
	})
	if err != nil {
		return nil, err
	}
	if b.places.len() > 0 {
		const begin = len(`{"codes":[`)
		out = append(out[:begin], out[begin+1:]...) // the first comma
	}
	out = append(out, `],"on_edge":[`...)
	for k, i := range edges {
		if k > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendInt(out, int64(i), 10)
	}
	return append(out, "]}\n"...), nil
}

// The binary form, version 1: see docs/LOCATE.md.
const (
	packedVersion = 1
	packedHead    = 8
	onEdge        = 1 << 31
)

// packedDatums are the datums of the binary form by their number.
var packedDatums = [...]geo.Datum{1: geo.DatumWGS84, 2: geo.DatumGCJ02, 3: geo.DatumBD09, 4: geo.DatumCGCS2000}

func (b *batch) readBinary(body []byte) error {
	bad := func(format string, args ...any) error {
		return problem(http.StatusBadRequest, fmt.Sprintf(format, args...)+"; see docs/LOCATE.md")
	}
	if len(body) < packedHead {
		return bad("the body has %d bytes; its head alone has %d", len(body), packedHead)
	}
	if body[0] != packedVersion {
		return bad("version %d is unknown: say 1", body[0])
	}
	if d := int(body[1]); d == 0 || d >= len(packedDatums) {
		return bad("datum %d is unknown: 1 wgs84, 2 gcj02, 3 bd09, 4 cgcs2000", d)
	}
	if body[2] != 0 || body[3] != 0 {
		return bad("bytes 2 and 3 must be zero")
	}
	n := binary.LittleEndian.Uint32(body[4:])
	if n > maxPlaces {
		return tooManyPlaces(int64(n))
	}
	if want := packedHead + 8*int(n); len(body) != want {
		return bad("%d points make %d bytes, the body has %d", n, want, len(body))
	}
	b.datum, b.places = packedDatums[body[1]], packed(body[packedHead:])
	return nil
}

func (b *batch) answerBinary(ctx context.Context) ([]byte, error) {
	const head = 12
	out := make([]byte, head+4*b.places.len())
	out[0] = packedVersion
	binary.LittleEndian.PutUint32(out[4:], uint32(b.places.len()))
	err := b.each(ctx, func(i int, state int32, edge bool) {
		v := uint32(0)
		if state != hidden {
			v = uint32(state)
		}
		if edge {
			v |= onEdge
		}
		binary.LittleEndian.PutUint32(out[head+4*i:], v)
	})
	if err != nil {
		return nil, err
	}
	binary.LittleEndian.PutUint32(out[8:], uint32(len(b.codes)))
	for _, c := range b.codes {
		out = binary.LittleEndian.AppendUint16(out, uint16(len(c)))
		out = append(out, c...)
	}
	return out, nil
}

func tooManyPlaces(n int64) error {
	return problem(http.StatusUnprocessableEntity, fmt.Sprintf("%d points; send at most %d at a time", n, maxPlaces))
}
