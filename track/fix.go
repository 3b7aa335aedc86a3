// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package track judges the positions devices send and keeps each worker's last
// known place. A fix is ordered by its own time, never by its arrival; ages are
// by the server's clock. A stale, future or untrusted fix never looks live.
//
//	fix -> Verdict (the fix and its neighbours in fix time) -> Live -> hub
//	                                                        \-> Log (history)
package track

import (
	"context"
	"time"

	"onemap/geo"
)

// Unknown stands in AccuracyM, CourseDeg, SpeedMS and Battery for what the
// device did not tell.
const Unknown = -1

// Fix is one position of one device, with the worker who carried it then.
type Fix struct {
	Device    int64
	Worker    uint32
	Grid      int32     // number of the worker's home grid, for scopes
	At        time.Time // when the place was measured; (Device, At) names the fix
	DeviceAt  time.Time // when the device sent it, by its own clock; zero if untold
	ServerAt  time.Time // when it reached the server
	P         geo.WGS84
	AccuracyM float32 // radius in metres
	CourseDeg float32 // clockwise from north, 0 to 360
	SpeedMS   float32 // metres a second
	Battery   int16   // per cent
	Mock      bool    // the device says the place is made up
	SOS       bool    // the device's alarm is pressed
	Verdict   Verdict
}

// Log keeps fixes for good. Append returns once the fixes are committed; a fix
// already there is left as it is. Only fixes with a Stored verdict are kept.
type Log interface {
	Append(ctx context.Context, fixes []Fix) error
}
