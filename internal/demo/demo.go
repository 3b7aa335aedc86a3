// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package demo makes up a banner (演示旗) that is true to scale and visibly no
// real place: its four-level grid, its workers and their duty hours, roads,
// addresses, cameras and two years of past incidents, and loads it into an empty
// database. Everything follows from a seed and one moment: the same pair always
// gives the same rows, in the same order. No person is named in it.
package demo

// What the made-up banner counts.
const (
	Towns     = 4
	Villages  = 84
	Leaves    = 401
	Workers   = 474
	Incidents = 300_000
	Addresses = 12_000
	Cameras   = 300
)

// Names that mark the data as made up.
const (
	RootCode = "990000" // no county has this code
	RootName = "演示旗"
	Centre   = "演示旗综治中心"
)
