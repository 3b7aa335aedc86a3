// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/intake"
	"onemap/store"
	"onemap/store/ledger"
)

func (s *Server) offers() {
	route(s, need{auth.Write, auth.OfferData}, huma.Operation{
		OperationID: "offer-incident", Method: http.MethodPost, Path: "/api/v1/incidents/{id}/offers", Tags: []string{"offers"},
		Summary: "Ask workers to go to an incident", DefaultStatus: http.StatusCreated, Errors: []int{404, 409, 422, 428},
		Description: "With lead the first worker named is to lead; the others assist. Only an incident of priority 1 is offered to several at once. " +
			"Of two desks that ask at a time one is first: the other gets 409, and winner names the offer that is there.",
	}, s.makeOffers)
	route(s, need{auth.Read, auth.OfferData}, huma.Operation{
		OperationID: "list-incident-offers", Method: http.MethodGet, Path: "/api/v1/incidents/{id}/offers", Tags: []string{"offers"},
		Summary: "Every offer of an incident, oldest first; a worker sees the own ones", Errors: []int{404},
	}, s.incidentOffers)
	route(s, need{auth.Read, auth.OfferData}, huma.Operation{
		OperationID: "list-offers", Method: http.MethodGet, Path: "/api/v1/offers", Tags: []string{"offers"},
		Summary: "The live offers: a worker's own, or those of the incidents in scope", Errors: []int{},
	}, s.listOffers)
	route(s, need{auth.Write, auth.OfferAnswer}, huma.Operation{
		OperationID: "act-on-offer", Method: http.MethodPost, Path: "/api/v1/offers/{id}/acts", Tags: []string{"offers"},
		Summary: "Answer an offer, say how it goes, or take it back", Errors: []int{404, 409, 422},
		Description: "Judged by the offer's state, never by a version, so that a phone may send it when it is on the air again: at is then its own clock, " +
			"and client_ref its own name of the act. The same client_ref gets the same answer. A yes that was said in time and comes late counts if nobody else has been asked since. " +
			"The worker says delivered, seen, accept, decline, arrive, finish and return; the desk says withdraw.",
	}, s.actOnOffer)
}

// OfferItem is an offer as answers carry it.
type OfferItem struct {
	store.PublicOffer
	Reason   string      `json:"reason,omitempty" doc:"Why it was declined, given back or withdrawn"`
	Incident OfferedItem `json:"incident"`
}

// OfferedItem is what a worker is told of an incident before saying yes.
type OfferedItem struct {
	CalledItem
	Version int `json:"version"`
}

// OfferWinner is the offer that was first.
type OfferWinner struct {
	OfferID    string    `json:"offer_id"`
	IncidentID string    `json:"incident_id"`
	Number     string    `json:"number"`
	Badge      string    `json:"badge"`
	MadeBy     string    `json:"made_by" doc:"The actor, as the journal names it"`
	MadeAt     time.Time `json:"made_at"`
}

// OfferNow is how an offer and its incident stand.
type OfferNow struct {
	Offer    string `json:"offer"`
	Incident string `json:"incident"`
}

func takenProblem(e *ledger.TakenError) *Problem {
	p := problem(http.StatusConflict, e.Error())
	if w := e.Winner; w != nil {
		p.Winner = &OfferWinner{fmt.Sprint(w.Offer), fmt.Sprint(w.Incident), store.IncidentNumber(w.Incident), w.Badge, w.MadeBy, w.MadeAt}
	}
	return p
}

func refusedProblem(e *ledger.OfferRefusal) *Problem {
	p := problem(http.StatusConflict, e.Error())
	p.Now = &OfferNow{string(e.Offer), string(e.Incident)}
	for _, k := range e.Possible {
		p.Possible = append(p.Possible, string(k))
	}
	return p
}

func (s *Server) offerItem(ctx context.Context, o store.Offer) (OfferItem, error) {
	called, err := s.calledItem(ctx, o.Incident, o.About.CalledTo)
	return OfferItem{PublicOffer: o.Public(), Reason: o.Reason, Incident: OfferedItem{called, o.About.Version}}, err
}

func (s *Server) offerItems(ctx context.Context, offers []store.Offer) ([]OfferItem, error) {
	out := make([]OfferItem, len(offers))
	for i, o := range offers {
		var err error
		if out[i], err = s.offerItem(ctx, o); err != nil {
			return nil, err
		}
	}
	return out, nil
}

type makeOffersInput struct {
	ID      int64  `path:"id" minimum:"1"`
	IfMatch string `header:"If-Match" doc:"The incident's version as its ETag gave it, in quotes"`
	Key     string `header:"Idempotency-Key" maxLength:"255"`
	Body    struct {
		Workers  []string `json:"worker_ids" minItems:"1" maxItems:"20" doc:"Each once; with lead the first is to lead"`
		Lead     bool     `json:"lead" doc:"Whether the first of them is to lead; without, all of them assist"`
		ExpiresS int      `json:"expires_s,omitempty" minimum:"10" maximum:"3600" doc:"How long they have to answer; as the centre's rules say when left out"`
	}
}

type offersOutput struct {
	ETag string `header:"ETag"`
	Body struct {
		Items    []OfferItem `json:"items"`
		Cursor   *string     `json:"cursor" doc:"Send it back for the next page; null on the last"`
		Repeated bool        `json:"repeated,omitempty" doc:"An earlier request made these offers"`
	}
}

// versionOf reads an If-Match header.
func versionOf(header string) (int, error) {
	if header == "" {
		return 0, problem(http.StatusPreconditionRequired, "send the version you saw in If-Match, for example If-Match: \"3\"")
	}
	version, err := strconv.Atoi(strings.Trim(header, "\""))
	if err != nil || version < 1 {
		return 0, problem(http.StatusBadRequest, "If-Match must be one version number in quotes")
	}
	return version, nil
}

func (s *Server) makeOffers(ctx context.Context, a caller, in *makeOffersInput) (*offersOutput, error) {
	version, err := versionOf(in.IfMatch)
	if err != nil {
		return nil, err
	}
	o := dispatch.Offering{Lead: in.Body.Lead, Expires: time.Duration(in.Body.ExpiresS) * time.Second}
	for _, w := range in.Body.Workers {
		id, err := strconv.ParseUint(w, 10, 32)
		if err != nil || id == 0 {
			return nil, store.ErrNotFound
		}
		o.Workers = append(o.Workers, uint32(id))
	}
	res, err := s.o.Ledger.Do(ctx, a.Actor, ledger.Command{
		Key: in.Key, Request: sha256.Sum256([]byte(fmt.Sprintf("offer %d %d\n%s", in.ID, version, bodyOf(ctx)))), RequestID: requestID(ctx),
		Offer: &ledger.OfferCommand{Incident: in.ID, Version: version, Offering: o},
	})
	if err != nil {
		return nil, err
	}
	out := &offersOutput{}
	if len(res.Offers) > 0 {
		out.ETag = strconv.Quote(strconv.Itoa(res.Offers[0].About.Version))
	}
	out.Body.Repeated = res.Repeated
	out.Body.Items, err = s.offerItems(ctx, res.Offers)
	return out, err
}

func (s *Server) incidentOffers(ctx context.Context, a caller, in *incidentID) (*offersOutput, error) {
	rows, err := s.reads(a).OffersOf(ctx, a.Scope, in.ID)
	if err != nil {
		return nil, err
	}
	out := &offersOutput{}
	out.Body.Items, err = s.offerItems(ctx, rows)
	return out, err
}

func (s *Server) listOffers(ctx context.Context, a caller, in *IDPage) (*offersOutput, error) {
	after, err := in.afterID()
	if err != nil {
		return nil, err
	}
	rows, err := s.reads(a).LiveOffers(ctx, a.Scope, after, in.Limit+1) // one more tells whether there is a next page
	if err != nil {
		return nil, err
	}
	out := &offersOutput{}
	rows, out.Body.Cursor = cutPage(*in, rows, func(o store.Offer) int64 { return o.ID })
	out.Body.Items, err = s.offerItems(ctx, rows)
	return out, err
}

type offerActInput struct {
	ID   int64 `path:"id" minimum:"1"`
	Body struct {
		Kind      string     `json:"kind" enum:"delivered,seen,accept,decline,arrive,finish,return,withdraw"`
		Reason    string     `json:"reason,omitempty" maxLength:"1000" doc:"Needed to decline, to return, and to withdraw what was accepted; of finish what was done"`
		At        *time.Time `json:"at,omitempty" doc:"When it happened, by the sender's own clock; now when left out"`
		ClientRef string     `json:"client_ref,omitempty" maxLength:"100" doc:"The sender's own name of this act"`
	}
}

type offerOutput struct {
	Body struct {
		OfferItem
		Repeated bool `json:"repeated,omitempty" doc:"An earlier request with this client_ref did it"`
	}
}

func (s *Server) actOnOffer(ctx context.Context, a caller, in *offerActInput) (*offerOutput, error) {
	reason, unclean := intake.Clean(in.Body.Reason)
	if unclean != "" {
		return nil, problem(http.StatusBadRequest, "reason "+unclean)
	}
	res, err := s.o.Ledger.Do(ctx, a.Actor, ledger.Command{RequestID: requestID(ctx), OfferAct: &ledger.OfferAct{
		Offer: in.ID, ClientRef: in.Body.ClientRef, OfferAct: dispatch.OfferAct{Kind: dispatch.OfferKind(in.Body.Kind), Reason: reason, DeviceAt: in.Body.At},
	}})
	if err != nil {
		return nil, err
	}
	out := &offerOutput{}
	out.Body.Repeated = res.Repeated
	out.Body.OfferItem, err = s.offerItem(ctx, res.Offers[0])
	return out, err
}
