// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"errors"
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

// Check says what is wrong with a setting.
func (s AdviceSetting) Check() error {
	if w := s.Weights; w != nil {
		for _, v := range []float64{w.Travel, w.Grid, w.Load, w.Fairness, w.Cover} {
			if !(v >= 0 && v <= maxWeight) {
				return fmt.Errorf("weight %v: from 0 to %d", v, maxWeight)
			}
		}
		if w.sum() == 0 {
			return errors.New("one weight at least must be above zero")
		}
	}
	switch {
	case s.HalfS != nil && !(*s.HalfS >= 1 && *s.HalfS <= maxHalfS):
		return fmt.Errorf("half_s %v: from 1 to %d seconds", *s.HalfS, maxHalfS)
	case s.RadiusM != nil && !(*s.RadiusM >= 1 && *s.RadiusM <= maxRadiusM):
		return fmt.Errorf("radius_m %v: from 1 to %d metres", *s.RadiusM, maxRadiusM)
	case s.MaxLoad != nil && (*s.MaxLoad < 1 || *s.MaxLoad > maxMaxLoad):
		return fmt.Errorf("max_load %d: from 1 to %d", *s.MaxLoad, maxMaxLoad)
	case s.MaxDuty != nil && (*s.MaxDuty < time.Minute || *s.MaxDuty > maxMaxDuty):
		return fmt.Errorf("max_duty %s: from a minute to a week", *s.MaxDuty)
	case len(s.Skills) > maxSkills:
		return fmt.Errorf("%d skills: at most %d", len(s.Skills), maxSkills)
	case slices.ContainsFunc(s.Skills, badSkill):
		return fmt.Errorf("skills %q: each of 1 to %d characters, without blanks", s.Skills, maxSkillLen)
	}
	return nil
}

func badSkill(s string) bool {
	return s == "" || len([]rune(s)) > maxSkillLen || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}
