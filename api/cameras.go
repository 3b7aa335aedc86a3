// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/layer"
	"onemap/store"
	"onemap/store/ledger"
)

// CameraLink is a way to a camera's pictures at the media gateway.
type CameraLink struct {
	URL       string    `json:"url" doc:"At the gateway, signed; good for nobody else's session mark, camera or protocol"`
	Protocol  string    `json:"protocol" enum:"hls,flv,webrtc"`
	ExpiresAt time.Time `json:"expires_at" doc:"A picture begun before goes on after, as the gateway is set"`
}

type cameraLinkInput struct {
	ID   int64 `path:"id" minimum:"1"`
	Body struct {
		Reason   string `json:"reason" maxLength:"2000" doc:"Why, in 4 to 500 characters; it is kept in the audit log"`
		Incident string `json:"incident,omitempty" maxLength:"20" doc:"Id of the incident it is for"`
		Protocol string `json:"protocol,omitempty" enum:"hls,flv,webrtc" default:"hls"`
	}
}

type cameraLinkOutput struct{ Body CameraLink }

func (s *Server) cameras() {
	route(s, need{auth.Reveal, auth.CameraLink}, huma.Operation{
		OperationID: "open-camera", Method: http.MethodPost, Path: "/api/v1/cameras/{id}/link", Tags: []string{"layers"},
		Summary: "A short-lived signed link to a camera at the media gateway; needs a reason, is audited", Errors: []int{404, 409, 422, 429},
	}, s.openCamera)
}

// errNoGateway says which flag is missing.
var errNoGateway = problem(http.StatusConflict, "no media gateway is configured: start the server with --media-gateway and --media-key-file, see docs/LAYERS.md")

// openCamera makes a link once the act is in the audit log: without that there is
// none.
func (s *Server) openCamera(ctx context.Context, a caller, in *cameraLinkInput) (*cameraLinkOutput, error) {
	f := s.camera(a, in.ID)
	if f == nil {
		return nil, store.ErrNotFound
	}
	reason, err := reasonOf(in.Body.Reason)
	if err != nil {
		return nil, err
	}
	if s.o.Media == nil {
		return nil, errNoGateway
	}
	var incident int64
	if in.Body.Incident != "" {
		if incident, err = strconv.ParseInt(in.Body.Incident, 10, 64); err != nil || incident < 1 {
			return nil, problem(http.StatusBadRequest, "incident: the id of an incident is a whole number")
		}
	}
	if ok, after := s.openings.Allow(a.ID, s.o.Now()); !ok {
		s.count("camera_links")
		return nil, tooMany(after, "no more than so many cameras a minute and person")
	}
	session := s.o.Media.session(credentialIn(ctx).ID, a.ID)
	var out CameraLink
	err = s.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		data := map[string]any{"gb_code": f.Camera.Code, "protocol": in.Body.Protocol, "session": session}
		if incident != 0 {
			d, err := auth.Decide(a.Actor, auth.Read, auth.IncidentData)
			if err != nil {
				return err
			}
			if _, err := store.FindIncident(ctx, tx, d.Scope, d.View, incident, false); err != nil {
				return problem(http.StatusUnprocessableEntity, "incident: there is none with this id among those you see")
			}
			data["incident"] = in.Body.Incident
		}
		out.URL, out.ExpiresAt = s.o.Media.link(f.Camera.Code, in.Body.Protocol, session, s.o.Now())
		data["expires"] = out.ExpiresAt
		return ledger.Audit(ctx, tx, a.Actor, requestID(ctx), "camera.open", fmt.Sprintf("camera/%d", f.ID), reason, data)
	})
	if err != nil {
		return nil, err
	}
	out.Protocol, out.ExpiresAt = in.Body.Protocol, out.ExpiresAt.UTC()
	return &cameraLinkOutput{out}, nil
}

// camera is the camera with this id, if it is the caller's to open: in the scope of
// both rows of the policy.
func (s *Server) camera(a caller, id int64) *layer.Feature {
	set, scope, _, err := s.seen(a.Actor, layer.Cameras)
	if err != nil {
		return nil
	}
	f := set.Feature(id)
	if f == nil || !f.In(scope) || !f.In(a.Scope) {
		return nil
	}
	return f
}
