// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"onemap/auth"
	"onemap/geo"
	"onemap/people"
	"onemap/store"
	"onemap/track"
)

// pageInterval is how often a worker's page measures on duty, at the slowest.
const pageInterval = time.Minute

// OwnPlace is where a worker's phone was at a time, as its browser measured it.
type OwnPlace struct {
	At        time.Time `json:"at" doc:"When the place was measured, by the phone's clock"`
	Lon       float64   `json:"lon"`
	Lat       float64   `json:"lat"`
	AccuracyM *float32  `json:"accuracy_m,omitempty" minimum:"0" doc:"Radius in metres"`
	CourseDeg *float32  `json:"course_deg,omitempty" minimum:"0" maximum:"360" doc:"Clockwise from north"`
	SpeedMS   *float32  `json:"speed_ms,omitempty" minimum:"0"`
}

type ownPlacesInput struct {
	Body struct {
		CRS   string     `json:"crs" maxLength:"40" doc:"What lon and lat are: browsers say wgs84. There is no default"`
		Items []OwnPlace `json:"items" maxItems:"500"`
	}
}

// OwnPlacesTaken says what became of the places sent; none of them has to be sent again.
type OwnPlacesTaken struct {
	Stored  int `json:"stored" doc:"Kept, those that were there already included"`
	OffDuty int `json:"off_duty" doc:"Measured off duty: dropped, never stored"`
	Untrue  int `json:"untrue" doc:"No place on earth, or a clock that is wrong: dropped"`
}

type ownPlacesOutput struct{ Body OwnPlacesTaken }

func (s *Server) ownPlaces() {
	route(s, need{auth.Write, auth.OwnShift}, huma.Operation{
		OperationID: "send-own-places", Method: http.MethodPost, Path: "/api/v1/positions", Tags: []string{"workers"},
		Summary: "Where one's own phone was, on duty; those from before may come late and twice", Errors: []int{404, 422, 503},
	}, s.takeOwnPlaces)
}

func (s *Server) takeOwnPlaces(ctx context.Context, c caller, in *ownPlacesInput) (*ownPlacesOutput, error) {
	w, ok := s.o.People().Worker(c.Worker)
	if !ok || !w.Active {
		return nil, errNobodysShift
	}
	datum, err := geo.ParseDatum(in.Body.CRS)
	if err != nil {
		return nil, problem(http.StatusUnprocessableEntity, "crs: "+err.Error())
	}
	onDuty, err := s.dutyOf(ctx, c, w)
	if err != nil {
		return nil, err
	}
	out := &ownPlacesOutput{}
	var fixes []track.Fix
	for _, p := range in.Body.Items {
		f, err := s.fixOf(w, p, datum)
		switch {
		case !onDuty(p.At):
			out.Body.OffDuty++
		case err != nil || !track.Judge(f, pageInterval, nil).Stored():
			out.Body.Untrue++
		default:
			fixes = append(fixes, f)
		}
	}
	if len(fixes) == 0 {
		return out, nil
	}
	id, err := store.PageDevice(ctx, s.o.DB.Pool, w.ID, pageInterval)
	if err != nil {
		return nil, err
	}
	for i := range fixes {
		fixes[i].Device = id
	}
	taken, err := s.o.Fixes(ctx, people.Device{ID: id, Interval: pageInterval}, fixes)
	if err != nil {
		return nil, problem(http.StatusServiceUnavailable, "positions can't be kept at this moment; send them again")
	}
	if taken {
		out.Body.Stored = len(fixes)
	} else {
		out.Body.Untrue += len(fixes)
	}
	return out, nil
}

// dutyOf says when a worker was on duty: by the directory, and by the shift that began a
// moment ago, which the directory may not have yet.
func (s *Server) dutyOf(ctx context.Context, c caller, w people.Worker) (func(time.Time) bool, error) {
	now, err := store.CurrentShift(ctx, s.o.Reads.Pool, c.Scope, w, s.o.Now())
	if err != nil && !errors.Is(err, store.ErrNoShift) {
		return nil, err
	}
	return func(at time.Time) bool {
		_, on := w.OnDuty(at)
		return on || now.ID != 0 && !at.Before(now.StartedAt) && at.Before(now.EndsAt)
	}, nil
}

func (s *Server) fixOf(w people.Worker, p OwnPlace, datum geo.Datum) (track.Fix, error) {
	at, err := geo.Raw{Lon: p.Lon, Lat: p.Lat, Datum: datum}.WGS84()
	return track.Fix{
		Worker: w.ID, Grid: w.Grid, At: p.At, ServerAt: s.o.Now(), P: at,
		AccuracyM: orUnknown(p.AccuracyM), CourseDeg: orUnknown(p.CourseDeg), SpeedMS: orUnknown(p.SpeedMS), Battery: track.Unknown,
	}, err
}

func orUnknown(v *float32) float32 {
	if v == nil {
		return track.Unknown
	}
	return *v
}
