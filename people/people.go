// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package people holds the facts about staff that other rules need: workers and
// the grids they serve, duty hours, and who carries which device when. It is
// pure: no SQL, no clock of its own.
package people

import (
	"maps"
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
	Rota   Rota
	Shifts []Shift // the last days' alone, in any order
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
	workers map[uint32]Worker
	devices map[string]Device
	byID    map[int64]string
}

// NewDirectory makes a directory of these workers and devices.
func NewDirectory(workers []Worker, devices []Device) *Directory {
	d := &Directory{workers: make(map[uint32]Worker, len(workers)), devices: make(map[string]Device, len(devices)), byID: make(map[int64]string, len(devices))}
	for _, w := range workers {
		d.workers[w.ID] = w
	}
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
	w, ok := d.workers[id]
	return w, ok
}

// Workers lists every worker, ordered by badge.
func (d *Directory) Workers() []Worker {
	return slices.SortedFunc(maps.Values(d.workers), func(a, b Worker) int { return strings.Compare(a.Badge, b.Badge) })
}

// OnDuty reports whether the worker is on duty at t, and until when: see
// Worker.OnDuty.
func (d *Directory) OnDuty(id uint32, t time.Time) (until time.Time, on bool) {
	return d.workers[id].OnDuty(t) // of an unknown one: not active
}

// Len is the number of workers and devices.
func (d *Directory) Len() (workers, devices int) { return len(d.workers), len(d.devices) }
