// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// AdviceRule is what advice on an incident goes by.
type AdviceRule struct {
	Skills  []string // all of them are needed
	Weights Weights
	HalfS   float64       // a way of so many seconds is worth half as much as none; above zero
	RadiusM float64       // nobody farther off in a straight line is advised
	MaxLoad int           // who has so many open incidents gets no more; above zero
	MaxDuty time.Duration // who has been on duty for so long without a break gets none
}

// Weights say how much each part of a score counts. They are relative: twice as
// much of each is the same. None is negative, not all are zero.
type Weights struct{ Travel, Grid, Load, Fairness, Cover float64 }

func (w Weights) sum() float64 { return w.Travel + w.Grid + w.Load + w.Fairness + w.Cover }

// of is the weighted mean of the parts.
func (w Weights) of(p Parts) float64 {
	return (w.Travel*p.Travel + w.Grid*p.Grid + w.Load*p.Load + w.Fairness*p.Fairness + w.Cover*p.Cover) / w.sum()
}

// DefaultAdviceRule is the product's for an incident of this priority, 1 to 4: the
// more urgent, the more the way counts.
func DefaultAdviceRule(priority int) AdviceRule {
	r := AdviceRule{HalfS: 600, RadiusM: 200_000, MaxLoad: 3, MaxDuty: 24 * time.Hour}
	switch priority {
	case 1:
		r.Weights = Weights{Travel: 80, Grid: 5, Load: 5, Fairness: 0, Cover: 10}
	case 2:
		r.Weights = Weights{Travel: 60, Grid: 15, Load: 10, Fairness: 5, Cover: 10}
	default:
		r.Weights, r.HalfS = Weights{Travel: 40, Grid: 30, Load: 10, Fairness: 10, Cover: 10}, 1200
	}
	return r
}

// AdviceSetting is what a centre sets of the rule for a category; what is nil stays
// as it is for the top category, or by default.
type AdviceSetting struct {
	Skills  []string
	Weights *Weights
	HalfS   *float64
	RadiusM *float64
	MaxLoad *int
	MaxDuty *time.Duration
}

// With is the rule as a setting changes it.
func (r AdviceRule) With(s AdviceSetting) AdviceRule {
	if s.Skills != nil {
		r.Skills = s.Skills
	}
	if s.Weights != nil {
		r.Weights = *s.Weights
	}
	set(&r.HalfS, s.HalfS)
	set(&r.RadiusM, s.RadiusM)
	set(&r.MaxLoad, s.MaxLoad)
	set(&r.MaxDuty, s.MaxDuty)
	return r
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// Bounds of a setting; the database repeats them.
const (
	maxWeight   = 1000
	maxHalfS    = 24 * 60 * 60
	maxRadiusM  = 1_000_000
	maxMaxLoad  = 100
	maxMaxDuty  = 7 * 24 * time.Hour
	maxSkills   = 20
	maxSkillLen = 40
)

// Fault is what is wrong with a field of a setting.
type Fault struct {
	Field   string // as the API names it
	Allowed string // what may be there
}

// Faults refuse a setting.
type Faults []Fault

func (f Faults) Error() string {
	words := make([]string, len(f))
	for i, x := range f {
		words[i] = x.Field + ": " + x.Allowed
	}
	return strings.Join(words, "; ")
}

// orNil is f, or no error where there are none.
func (f Faults) orNil() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

// within notes a value that is not from least to most.
func (f *Faults) within(field string, value, least, most float64, unit string) {
	if !(value >= least && value <= most) {
		*f = append(*f, Fault{field, fmt.Sprintf("from %.0f to %.0f%s", least, most, unit)})
	}
}

// Check says what is wrong with a setting: Faults, or nil.
func (s AdviceSetting) Check() error {
	var f Faults
	if w := s.Weights; w != nil {
		for _, p := range []struct {
			name string
			v    float64
		}{{"travel", w.Travel}, {"grid", w.Grid}, {"load", w.Load}, {"fairness", w.Fairness}, {"cover", w.Cover}} {
			f.within("weights."+p.name, p.v, 0, maxWeight, "")
		}
		if w.sum() == 0 {
			f = append(f, Fault{"weights", "one at least above zero"})
		}
	}
	if s.HalfS != nil {
		f.within("half_s", *s.HalfS, 1, maxHalfS, " seconds")
	}
	if s.RadiusM != nil {
		f.within("radius_m", *s.RadiusM, 1, maxRadiusM, " metres")
	}
	if s.MaxLoad != nil {
		f.within("max_load", float64(*s.MaxLoad), 1, maxMaxLoad, "")
	}
	if s.MaxDuty != nil {
		f.within("max_duty_s", s.MaxDuty.Seconds(), time.Minute.Seconds(), maxMaxDuty.Seconds(), " seconds")
	}
	if len(s.Skills) > maxSkills || slices.ContainsFunc(s.Skills, badSkill) {
		f = append(f, Fault{"skills", fmt.Sprintf("at most %d, each of 1 to %d characters, without blanks", maxSkills, maxSkillLen)})
	}
	if s.Skills == nil && s.Weights == nil && s.HalfS == nil && s.RadiusM == nil && s.MaxLoad == nil && s.MaxDuty == nil {
		f = append(f, Fault{"category", "it sets nothing: leave it out"})
	}
	return f.orNil()
}

func badSkill(s string) bool {
	return s == "" || len([]rune(s)) > maxSkillLen || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}
