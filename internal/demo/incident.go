// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"time"

	"onemap/dispatch"
	"onemap/geo"
)

// Incident is a past incident. A zero time means that it never came to that.
type Incident struct {
	Number         int // 1, 2, 3, ... in the order of the reports
	Category       dispatch.Category
	Title, Text    string
	Source         string // phone, field, hotline, petition, app, device
	ExternalID     string // DEMO-0000001: the source's own number
	Place          dispatch.PlaceKind
	Raw            geo.Raw   // as given; its WGS84 is Point
	Point          geo.WGS84 // not set when Place is none
	Grid           int       // place in Banner.Drafts and Tree; 0, the banner, outside the grids
	Address        string
	Priority       int
	OwnerLevel     int
	State          dispatch.State
	OccurredAt     time.Time
	ReportedAt     time.Time
	AckDue         time.Time
	StageDue       time.Time
	DueRule        string
	AcknowledgedAt time.Time
	OnSceneAt      time.Time
	ResolvedAt     time.Time
	ClosedAt       time.Time
	Steps          []Step
}

// Step is one act in an incident's life, oldest first.
type Step struct {
	Kind     string // "report" or the act
	From, To dispatch.State
	Actor    string // "worker:12", "desk:3", "department", "source:app"
	At       time.Time
	Reason   string
}

// byDepartment is the actor of a step that the incident's lead department takes.
const byDepartment = "department"
