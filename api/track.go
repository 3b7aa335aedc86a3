// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/store"
	"onemap/store/ledger"
	"onemap/track"
)

// A track is read a day at a time, at most.
const (
	maxTrack       = 24 * time.Hour
	maxTrackPoints = 20_000
)

// TrackPoint is one kept fix of a worker.
type TrackPoint struct {
	At        time.Time `json:"at" doc:"When the place was measured"`
	Lon       float64   `json:"lon" doc:"WGS-84"`
	Lat       float64   `json:"lat"`
	AccuracyM *float32  `json:"accuracy_m"`
	SpeedMS   *float32  `json:"speed_ms"`
	CourseDeg *float32  `json:"course_deg"`
	Verdict   string    `json:"verdict" doc:"What is wrong with the fix; empty when nothing"`
}

type trackInput struct {
	ID     uint32    `path:"id" minimum:"1"`
	From   time.Time `query:"from" required:"true" doc:"Measured at or after"`
	To     time.Time `query:"to" required:"true" doc:"Measured before; at most 24 hours after from"`
	Reason string    `query:"reason" doc:"Why, in 4 to 500 characters; it is kept in the audit log. A worker needs none for the own track"`
	Case   string    `query:"case" doc:"Number of the case it is for; an auditor needs one"`
}

type trackOutput struct {
	Body struct {
		WorkerID string       `json:"worker_id"`
		Badge    string       `json:"badge"`
		Items    []TrackPoint `json:"items" doc:"In order of time"`
	}
}

func (s *Server) tracks() {
	route(s, need{auth.Read, auth.Track}, huma.Operation{
		OperationID: "worker-track", Method: http.MethodGet, Path: "/api/v1/workers/{id}/track", Tags: []string{"workers"},
		Summary: "Where a worker has been while on duty; audited", Errors: []int{404, 422},
	}, s.workerTrack)
}

// caseNumber is SJ and nine digits, or the number of another register.
var caseNumber = regexp.MustCompile(`^[0-9A-Za-z]{4,40}$`)

func (s *Server) workerTrack(ctx context.Context, c caller, in *trackInput) (*trackOutput, error) {
	reason, err := trackReason(c, in)
	if err != nil {
		return nil, err
	}
	if span := in.To.Sub(in.From); span <= 0 || span > maxTrack {
		return nil, problem(http.StatusUnprocessableEntity, "from and to must lie at most 24 hours apart, from first")
	}
	w, there := s.o.People().Worker(in.ID)
	if !there {
		return nil, store.ErrNotFound
	}
	var fixes []track.Fix
	err = s.o.Reads.InTx(ctx, func(tx pgx.Tx) (err error) {
		if fixes, err = store.Track(ctx, tx, c.Scope, w, in.From, in.To, maxTrackPoints+1); err != nil {
			return err
		}
		if len(fixes) > maxTrackPoints {
			return problem(http.StatusUnprocessableEntity, fmt.Sprintf("more than %d points: ask for a shorter time", maxTrackPoints))
		}
		data := map[string]any{"from": in.From, "to": in.To, "count": len(fixes)}
		if in.Case != "" {
			data["case"] = in.Case
		}
		return ledger.Audit(ctx, tx, c.Actor, requestID(ctx), "track.read", fmt.Sprintf("worker/%d", w.ID), reason, data)
	})
	if err != nil {
		return nil, err
	}
	out := &trackOutput{}
	out.Body.WorkerID, out.Body.Badge, out.Body.Items = fmt.Sprint(w.ID), w.Badge, make([]TrackPoint, len(fixes))
	for i, f := range fixes {
		out.Body.Items[i] = TrackPoint{f.At.UTC(), f.P[0], f.P[1], told(f.AccuracyM), told(f.SpeedMS), told(f.CourseDeg), string(f.Verdict)}
	}
	return out, nil
}

// trackReason is why somebody reads a track: who reads another's has to say so,
// and an auditor for which case.
func trackReason(c caller, in *trackInput) (reason string, err error) {
	if c.Reason || in.Reason != "" {
		if reason, err = reasonOf(in.Reason); err != nil {
			return "", err
		}
	}
	if in.Case == "" && c.Role != auth.Auditor {
		return reason, nil
	}
	if !caseNumber.MatchString(in.Case) {
		return "", problem(http.StatusUnprocessableEntity, "case: give the number of the case, for example SJ000000123")
	}
	return reason, nil
}

// told is what a device told, or null.
func told(v float32) *float32 {
	if v < 0 {
		return nil
	}
	return &v
}
