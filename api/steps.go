// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/store"
	"onemap/store/ledger"
)

func (s *Server) steps() {
	route(s, need{auth.Read, auth.StepSetting}, huma.Operation{
		OperationID: "get-steps", Method: http.MethodGet, Path: "/api/v1/steps", Tags: []string{"settings"},
		Summary: "What the steps of an incident are called here, and the presets there are",
	}, s.getSteps)
	route(s, need{auth.Write, auth.StepSetting}, huma.Operation{
		OperationID: "choose-steps", Method: http.MethodPut, Path: "/api/v1/steps", Tags: []string{"settings"},
		Summary: "Choose the preset; audited", Errors: []int{422},
		Description: "A label is a name over one or more states: acts and states stay the same.",
	}, s.chooseSteps)
}

// Step is one step as a centre calls it.
type Step struct {
	Step   int      `json:"step" doc:"Its place in the row of steps; several labels may share one"`
	Label  string   `json:"label"`
	States []string `json:"states" doc:"The states it stands for"`
}

// StepPreset is a whole row of steps.
type StepPreset struct {
	Preset string `json:"preset"`
	Steps  []Step `json:"steps"`
}

type stepsOutput struct {
	Body struct {
		Preset  string       `json:"preset" doc:"The one in use"`
		Presets []StepPreset `json:"presets"`
	}
}

func (s *Server) getSteps(ctx context.Context, _ caller, _ *struct{}) (*stepsOutput, error) {
	out := &stepsOutput{}
	out.Body.Preset = store.DefaultSteps
	if err := s.o.Reads.Setting(ctx, "steps", &out.Body.Preset); err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	labels, err := s.o.Reads.StepLabels(ctx)
	if err != nil {
		return nil, err
	}
	out.Body.Presets = presets(labels)
	return out, nil
}

// presets puts labels together that stand in the order of StepLabels.
func presets(labels []store.StepLabel) []StepPreset {
	out := []StepPreset{}
	for _, l := range labels {
		if n := len(out); n == 0 || out[n-1].Preset != l.Preset {
			out = append(out, StepPreset{Preset: l.Preset})
		}
		p := &out[len(out)-1]
		if n := len(p.Steps); n == 0 || p.Steps[n-1].Step != l.Step || p.Steps[n-1].Label != l.Label {
			p.Steps = append(p.Steps, Step{Step: l.Step, Label: l.Label})
		}
		last := &p.Steps[len(p.Steps)-1]
		last.States = append(last.States, l.State)
	}
	return out
}

type chooseStepsInput struct {
	Body struct {
		Preset string `json:"preset" maxLength:"20"`
	}
}

func (s *Server) chooseSteps(ctx context.Context, a caller, in *chooseStepsInput) (*stepsOutput, error) {
	labels, err := s.o.DB.StepLabels(ctx)
	if err != nil {
		return nil, err
	}
	known := ""
	for _, p := range presets(labels) {
		if known += " " + p.Preset; p.Preset == in.Body.Preset {
			known = ""
			break
		}
	}
	if known != "" {
		return nil, problem(http.StatusUnprocessableEntity, fmt.Sprintf("there is no preset %q: choose one of%s", in.Body.Preset, known))
	}
	err = s.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		if err := store.SetSetting(ctx, tx, "steps", in.Body.Preset); err != nil {
			return err
		}
		return ledger.Audit(ctx, tx, a.Actor, requestID(ctx), "steps.choose", "setting/steps", "", map[string]any{"preset": in.Body.Preset})
	})
	if err != nil {
		return nil, err
	}
	return s.getSteps(ctx, a, nil)
}
