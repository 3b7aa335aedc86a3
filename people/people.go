// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package people holds the facts about staff that other rules need: workers and
// the grids they serve, duty hours, and who carries which device when. It is
// pure: no SQL, no clock of its own.
package people

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"onemap/geo"
)

// Worker is a grid worker (网格员) as the rules see one: no name, no phone.
type Worker struct {
	ID     uint32
	Badge  string
	Skills []string
	Active bool
	Grid   int32 // number of the home grid in the enacted tree; 0 while there is none
	Served []Service
	Rota   Rota
	Shifts []Shift // the last days' alone, in any order

	longest time.Duration
}

// LongestDuty is how long the worker's longest duty without a break takes, in a
// directory; a week for one that never ends.
func (w *Worker) LongestDuty() time.Duration { return w.longest }

// Role is what a worker is to a grid they serve.
type Role string

const (
	AsWorker Role = "worker"
	AsDeputy Role = "deputy"
	AsHead   Role = "head"
)

// Service is a grid of the enacted tree that a worker serves now, and as what.
type Service struct {
	Grid int32 // its number
	Role Role
}

// Serves reports whether the worker serves a grid numbered first to last.
func (w *Worker) Serves(first, last int32) bool {
	return slices.ContainsFunc(w.Served, func(s Service) bool { return first <= s.Grid && s.Grid <= last })
}

// SpeedUnit is the unit in which a device tells its speed.
type SpeedUnit string

const (
	Knots     SpeedUnit = "kn"
	MetresSec SpeedUnit = "m/s"
	KmHour    SpeedUnit = "km/h"
)

// MS converts v from this unit to metres a second. An unknown unit is taken as
// knots, the habit of the Traccar family.
func (u SpeedUnit) MS(v float64) float64 {
	switch u {
	case MetresSec:
		return v
	case KmHour:
		return v / 3.6
	}
	return v * 1852 / 3600
}

// Device is a phone or terminal and the profile it was registered with.
type Device struct {
	ID        int64
	UniqueID  string // as the device names itself
	SpeedUnit SpeedUnit
	Datum     geo.Datum     // of the places it sends
	Interval  time.Duration // between two fixes on duty
	Blocked   bool
	Bindings  []Binding // any order; at most one holds at a time
}

// Binding says who carries a device from From (included) to To (excluded).
type Binding struct {
	Worker   uint32
	From, To time.Time // a zero To never ends
}

// Holds reports whether the binding is in force at t.
func (b Binding) Holds(t time.Time) bool {
	return !t.Before(b.From) && (b.To.IsZero() || t.Before(b.To))
}

// Carrier returns the worker who carried the device at t.
func (d Device) Carrier(t time.Time) (uint32, bool) {
	i := slices.IndexFunc(d.Bindings, func(b Binding) bool { return b.Holds(t) })
	if i < 0 {
		return 0, false
	}
	return d.Bindings[i].Worker, true
}

// Directory is every worker and device as of one moment. It never changes after
// NewDirectory, so that many readers may share it; a newer one replaces it.
type Directory struct {
	workers []Worker         // ordered by id
	at      map[uint32]int32 // where in workers
	devices map[string]Device
	byID    map[int64]string
	serving []servant // by grid
}

// servant is a worker who serves a grid.
type servant struct {
	grid   int32
	worker uint32
}

// NewDirectory makes a directory of these workers and devices.
func NewDirectory(workers []Worker, devices []Device) *Directory {
	d := &Directory{workers: slices.Clone(workers), at: make(map[uint32]int32, len(workers)), devices: make(map[string]Device, len(devices)), byID: make(map[int64]string, len(devices))}
	slices.SortFunc(d.workers, func(a, b Worker) int { return cmp.Compare(a.ID, b.ID) })
	for i := range d.workers {
		w := &d.workers[i]
		w.longest = w.Rota.longest()
		d.at[w.ID] = int32(i)
		for _, s := range w.Served {
			d.serving = append(d.serving, servant{s.Grid, w.ID})
		}
	}
	slices.SortFunc(d.serving, func(a, b servant) int { return cmp.Or(cmp.Compare(a.grid, b.grid), cmp.Compare(a.worker, b.worker)) })
	for _, v := range devices {
		d.devices[v.UniqueID] = v
		d.byID[v.ID] = v.UniqueID
	}
	return d
}

// Device returns the device that names itself uniqueID.
func (d *Directory) Device(uniqueID string) (Device, bool) {
	v, ok := d.devices[uniqueID]
	return v, ok
}

// DeviceByID returns the device with this number.
func (d *Directory) DeviceByID(id int64) (Device, bool) { return d.Device(d.byID[id]) }

// Worker returns the worker with this id.
func (d *Directory) Worker(id uint32) (Worker, bool) {
	if w := d.Find(id); w != nil {
		return *w, true
	}
	return Worker{}, false
}

// Find is Worker without a copy, for loops over many; nil for nobody. What it
// returns must not be changed. Workers are mostly numbered 1, 2, 3, ...: where the
// number says.
func (d *Directory) Find(id uint32) *Worker {
	if i := int64(id) - 1; i >= 0 && i < int64(len(d.workers)) && d.workers[i].ID == id {
		return &d.workers[i]
	}
	if i, ok := d.at[id]; ok {
		return &d.workers[i]
	}
	return nil
}

// All is every worker, ordered by id. It must not be changed.
func (d *Directory) All() []Worker { return d.workers }

// Serving lists who serves a grid numbered first to last, in whatever role; who
// serves several of them comes several times.
func (d *Directory) Serving(first, last int32) []uint32 {
	i, _ := slices.BinarySearchFunc(d.serving, first, func(s servant, no int32) int { return cmp.Compare(s.grid, no) })
	var out []uint32
	for ; i < len(d.serving) && d.serving[i].grid <= last; i++ {
		out = append(out, d.serving[i].worker)
	}
	return out
}

// Workers lists every worker, ordered by badge.
func (d *Directory) Workers() []Worker {
	return slices.SortedFunc(slices.Values(d.workers), func(a, b Worker) int { return strings.Compare(a.Badge, b.Badge) })
}

// OnDuty reports whether the worker is on duty at t, and until when: see
// Worker.OnDuty.
func (d *Directory) OnDuty(id uint32, t time.Time) (until time.Time, on bool) {
	w := d.Find(id)
	if w == nil {
		return time.Time{}, false
	}
	return w.OnDuty(t)
}

// Len is the number of workers and devices.
func (d *Directory) Len() (workers, devices int) { return len(d.workers), len(d.devices) }
