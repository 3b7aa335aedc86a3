// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/intake"
	"onemap/store"
	"onemap/store/ledger"
)

func (s *Server) rules() {
	const whole = "The whole is replaced: read it, change it, and send it back with its ETag in If-Match. 422 names each field that is refused and what is allowed."
	route(s, need{auth.Read, auth.RuleSetting}, huma.Operation{
		OperationID: "get-advice-rules", Method: http.MethodGet, Path: "/api/v1/rules/advice", Tags: []string{"settings"},
		Summary: "What advice goes by: the program's defaults, and what this centre sets for categories",
	}, s.getAdviceRules)
	route(s, need{auth.Write, auth.RuleSetting}, huma.Operation{
		OperationID: "change-advice-rules", Method: http.MethodPut, Path: "/api/v1/rules/advice", Tags: []string{"settings"},
		Summary: "Change what this centre sets; audited with the reason", Errors: []int{409, 422, 428}, Description: whole,
	}, s.changeAdviceRules)
	route(s, need{auth.Read, auth.RuleSetting}, huma.Operation{
		OperationID: "get-offer-rules", Method: http.MethodGet, Path: "/api/v1/rules/offers", Tags: []string{"settings"},
		Summary: "How long offers are open, what follows, and when somebody has arrived",
	}, s.getOfferRules)
	route(s, need{auth.Write, auth.RuleSetting}, huma.Operation{
		OperationID: "change-offer-rules", Method: http.MethodPut, Path: "/api/v1/rules/offers", Tags: []string{"settings"},
		Summary: "Change that; audited with the reason", Errors: []int{409, 422, 428}, Description: whole + " Offers that are out keep their time.",
	}, s.changeOfferRules)
}

// CategoryAdvice is what a centre sets for a category; what is left out is as for its top
// category, else the default of the incident's priority. Limits are told by 422.
type CategoryAdvice struct {
	Category string      `json:"category" maxLength:"16"`
	Skills   []string    `json:"skills,omitzero" required:"false" doc:"All of them are needed; [] for none"`
	Weights  *ScoreParts `json:"weights,omitempty" doc:"Relative to each other, each from 0 to 1000, not all 0"`
	HalfS    *float64    `json:"half_s,omitempty" doc:"A way of so many seconds is worth half as much as none"`
	RadiusM  *float64    `json:"radius_m,omitempty" doc:"Nobody farther off is advised"`
	MaxLoad  *int        `json:"max_load,omitempty" doc:"Who has so many open incidents gets no more"`
	MaxDuty  *int        `json:"max_duty_s,omitempty" doc:"Who has been on duty for so many seconds without a break gets none"`
}

// DefaultAdvice is the program's rule for incidents of a priority.
type DefaultAdvice struct {
	Priority int `json:"priority"`
	AdviceRuleItem
}

type adviceRulesOutput struct {
	ETag string `header:"ETag"`
	Body struct {
		Defaults []DefaultAdvice  `json:"defaults" doc:"By priority; not to be changed"`
		Items    []CategoryAdvice `json:"items" doc:"By category"`
	}
}

type adviceRulesInput struct {
	IfMatch string `header:"If-Match" doc:"The ETag of the rules that were read"`
	Body    struct {
		Reason string           `json:"reason" maxLength:"1000" doc:"Why; kept in the audit log"`
		Items  []CategoryAdvice `json:"items" maxItems:"1000"`
	}
}

// OfferRadius is within how many metres somebody has arrived at incidents of a category.
type OfferRadius struct {
	Category string  `json:"category" maxLength:"16"`
	RadiusM  float64 `json:"radius_m"`
}

// OfferRules are a centre's numbers about offers. Limits are told by 422.
type OfferRules struct {
	ExpiresS int           `json:"expires_s" doc:"How long a worker has to answer where the desk does not say"`
	OnExpiry string        `json:"on_expiry" doc:"ask: the desk decides; next: the next candidate is asked"`
	LateYes  string        `json:"late_yes" doc:"Of a yes that was said in time and arrives late: free, it counts while nobody else was asked since; never, it does not"`
	Work     int           `json:"work" doc:"Accepted work that a worker may have at a time"`
	RadiusM  float64       `json:"radius_m" doc:"Within how many metres of the place somebody has arrived"`
	RadiusOf []OfferRadius `json:"radius_of" maxItems:"1000" doc:"And where a category, or its top category, says otherwise"`
}

type offerRulesOutput struct {
	ETag string `header:"ETag"`
	Body OfferRules
}

type offerRulesInput struct {
	IfMatch string `header:"If-Match" doc:"The ETag of the rules that were read"`
	Body    struct {
		Reason string `json:"reason" maxLength:"1000" doc:"Why; kept in the audit log"`
		OfferRules
	}
}

// etagOf names contents: equal ones have one name, whoever wrote them.
func etagOf(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // of our own types
	}
	sum := sha256.Sum256(raw)
	return strconv.Quote(hex.EncodeToString(sum[:8]))
}

// refusedFields is the answer to a request of which these fields are refused.
func refusedFields(items []ProblemItem) *Problem {
	words := make([]string, 0, 5)
	for _, i := range items[:min(len(items), 5)] {
		words = append(words, i.Location+": "+i.Message)
	}
	p := problem(http.StatusUnprocessableEntity, strings.Join(words, "; "))
	p.Errors = items
	return p
}

// fieldsOf are the faults of a setting as they lie in the request.
func fieldsOf(prefix string, err error) (out []ProblemItem) {
	var faults dispatch.Faults
	if errors.As(err, &faults) {
		for _, f := range faults {
			out = append(out, ProblemItem{prefix + f.Field, f.Allowed})
		}
	}
	return out
}

// ruleChange is a change of rules that are kept as a whole.
type ruleChange struct {
	what, event string
	ifMatch     string
	reason      string
	wrong       []ProblemItem
	now         func(tx pgx.Tx) (any, error) // the body as it stands
	save        func(tx pgx.Tx) error
}

// changeRules carries a change out, or says why not.
func (s *Server) changeRules(ctx context.Context, a caller, c ruleChange) error {
	if c.ifMatch == "" {
		return problem(http.StatusPreconditionRequired, "send the ETag of the rules you read in If-Match")
	}
	reason, unclean := intake.Clean(c.reason)
	if unclean != "" {
		return problem(http.StatusBadRequest, "reason "+unclean)
	}
	if strings.TrimSpace(reason) == "" {
		c.wrong = append(c.wrong, ProblemItem{"body.reason", "say why"})
	}
	if len(c.wrong) > 0 {
		return refusedFields(c.wrong)
	}
	if err := s.countsForAll(ctx, a, "these rules are"); err != nil {
		return err
	}
	err := s.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		if err := store.HoldRules(ctx, tx); err != nil {
			return err
		}
		before, err := c.now(tx)
		if err != nil {
			return err
		}
		if etagOf(before) != c.ifMatch {
			return problem(http.StatusConflict, "the rules are others by now: read them again")
		}
		if err := c.save(tx); err != nil {
			return err
		}
		after, err := c.now(tx)
		if err != nil {
			return err
		}
		if err := ledger.Audit(ctx, tx, a.Actor, requestID(ctx), c.event, "rules/"+c.what, reason, map[string]any{"before": before, "after": after}); err != nil {
			return err
		}
		return ledger.RulesChanged(ctx, tx, s.o.Now())
	})
	if err == nil {
		s.o.Ledger.Wake()
	}
	return err
}

func categoryAdvice(code string, r dispatch.AdviceSetting) CategoryAdvice {
	c := CategoryAdvice{Category: code, Skills: r.Skills, HalfS: r.HalfS, RadiusM: r.RadiusM, MaxLoad: r.MaxLoad}
	if r.Weights != nil {
		w := ScoreParts(*r.Weights)
		c.Weights = &w
	}
	if r.MaxDuty != nil {
		n := int(r.MaxDuty.Seconds())
		c.MaxDuty = &n
	}
	return c
}

func (c CategoryAdvice) setting() dispatch.AdviceSetting {
	r := dispatch.AdviceSetting{Skills: c.Skills, HalfS: c.HalfS, RadiusM: c.RadiusM, MaxLoad: c.MaxLoad}
	if c.Weights != nil {
		w := dispatch.Weights(*c.Weights)
		r.Weights = &w
	}
	if c.MaxDuty != nil {
		d := time.Duration(min(max(*c.MaxDuty, 0), mostSeconds)) * time.Second
		r.MaxDuty = &d
	}
	return r
}

// mostSeconds keeps a duration from running over; no rule allows as much.
const mostSeconds = 1e9

func adviceItems(ctx context.Context, q store.Querier) ([]CategoryAdvice, error) {
	rows, err := store.AdviceSettings(ctx, q)
	items := make([]CategoryAdvice, len(rows))
	for i, r := range rows {
		items[i] = categoryAdvice(r.Category, r.AdviceSetting)
	}
	return items, err
}

func (s *Server) getAdviceRules(ctx context.Context, a caller, _ *struct{}) (*adviceRulesOutput, error) {
	out := &adviceRulesOutput{}
	for p := 1; p <= 4; p++ {
		out.Body.Defaults = append(out.Body.Defaults, DefaultAdvice{p, ruleItem(dispatch.DefaultAdviceRule(p))})
	}
	var err error
	out.Body.Items, err = adviceItems(ctx, s.o.Reads.Pool)
	out.ETag = etagOf(out.Body.Items)
	return out, err
}

func (s *Server) changeAdviceRules(ctx context.Context, a caller, in *adviceRulesInput) (*adviceRulesOutput, error) {
	skills, err := store.Skills(ctx, s.o.DB.Pool)
	if err != nil {
		return nil, err
	}
	c := ruleChange{what: "advice", event: "rules.advice", ifMatch: in.IfMatch, reason: in.Body.Reason}
	c.now = func(tx pgx.Tx) (any, error) { return adviceItems(ctx, tx) }
	rows, categories := make([]store.CategoryAdvice, len(in.Body.Items)), s.o.Catalogue.Now().Categories
	for i, item := range in.Body.Items {
		at := fmt.Sprintf("body.items[%d].", i)
		rows[i] = store.CategoryAdvice{Category: item.Category, AdviceSetting: item.setting()}
		c.wrong = append(c.wrong, fieldsOf(at, rows[i].Check())...)
		switch _, known := categories[item.Category]; {
		case !known:
			c.wrong = append(c.wrong, ProblemItem{at + "category", fmt.Sprintf("there is no category %q", item.Category)})
		case slices.ContainsFunc(in.Body.Items[:i], func(o CategoryAdvice) bool { return o.Category == item.Category }):
			c.wrong = append(c.wrong, ProblemItem{at + "category", item.Category + " is named twice"})
		}
		for _, k := range item.Skills {
			if len(skills) > 0 && !slices.ContainsFunc(skills, func(s store.Skill) bool { return s.Code == k }) {
				c.wrong = append(c.wrong, ProblemItem{at + "skills", fmt.Sprintf("there is no skill %q in the catalogue", k)})
			}
		}
	}
	c.save = func(tx pgx.Tx) error { return store.SaveAdviceSettings(ctx, tx, rows) }
	if err := s.changeRules(ctx, a, c); err != nil {
		return nil, err
	}
	return s.getAdviceRules(ctx, a, nil)
}

func offerRules(ctx context.Context, q store.Querier) (OfferRules, error) {
	r, err := store.ReadOfferRules(ctx, q)
	out := OfferRules{ExpiresS: int(r.Expires.Seconds()), OnExpiry: "ask", LateYes: "free", Work: r.Work, RadiusM: r.RadiusM, RadiusOf: []OfferRadius{}}
	if r.Next {
		out.OnExpiry = "next"
	}
	if r.NoLateYes {
		out.LateYes = "never"
	}
	for code, m := range r.RadiusOf {
		out.RadiusOf = append(out.RadiusOf, OfferRadius{code, m})
	}
	slices.SortFunc(out.RadiusOf, func(x, y OfferRadius) int { return strings.Compare(x.Category, y.Category) })
	return out, err
}

func (s *Server) getOfferRules(ctx context.Context, a caller, _ *struct{}) (*offerRulesOutput, error) {
	body, err := offerRules(ctx, s.o.Reads.Pool)
	return &offerRulesOutput{etagOf(body), body}, err
}

func (s *Server) changeOfferRules(ctx context.Context, a caller, in *offerRulesInput) (*offerRulesOutput, error) {
	b := in.Body.OfferRules
	c := ruleChange{what: "offers", event: "rules.offers", ifMatch: in.IfMatch, reason: in.Body.Reason}
	c.now = func(tx pgx.Tx) (any, error) { return offerRules(ctx, tx) }
	oneOf := func(field, value string, words ...string) {
		if !slices.Contains(words, value) {
			c.wrong = append(c.wrong, ProblemItem{"body." + field, "one of: " + strings.Join(words, ", ")})
		}
	}
	oneOf("on_expiry", b.OnExpiry, "ask", "next")
	oneOf("late_yes", b.LateYes, "free", "never")
	r := dispatch.OfferRules{
		Expires: time.Duration(min(max(b.ExpiresS, 0), mostSeconds)) * time.Second, Next: b.OnExpiry == "next", NoLateYes: b.LateYes == "never",
		Work: b.Work, RadiusM: b.RadiusM, RadiusOf: map[string]float64{},
	}
	c.wrong = append(c.wrong, fieldsOf("body.", r.Check())...)
	for i, x := range b.RadiusOf {
		at := fmt.Sprintf("body.radius_of[%d].", i)
		_, twice := r.RadiusOf[x.Category]
		if _, known := s.o.Catalogue.Now().Categories[x.Category]; !known || twice {
			c.wrong = append(c.wrong, ProblemItem{at + "category", fmt.Sprintf("there is no category %q, or it is named twice", x.Category)})
		}
		c.wrong = append(c.wrong, fieldsOf(at, dispatch.CheckRadius(x.RadiusM))...)
		r.RadiusOf[x.Category] = x.RadiusM
	}
	c.save = func(tx pgx.Tx) error { return store.SaveOfferRules(ctx, tx, r) }
	if err := s.changeRules(ctx, a, c); err != nil {
		return nil, err
	}
	return s.getOfferRules(ctx, a, nil)
}
