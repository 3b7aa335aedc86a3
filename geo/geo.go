// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package geo gives places a datum in their type, longitude first, and converts
// between the datums in use in China. Everything inside the product is WGS-84;
// other datums exist at the doors only.
package geo

import "github.com/paulmach/orb"

// WGS84 is a place in WGS-84 degrees, longitude first.
type WGS84 orb.Point

// GCJ02 is a place in the shifted degrees of Chinese web maps, longitude first.
type GCJ02 orb.Point

// BD09 is a place in Baidu's degrees, longitude first.
type BD09 orb.Point

// Lon is the longitude in degrees east.
func (p WGS84) Lon() float64 { return p[0] }

// Lat is the latitude in degrees north.
func (p WGS84) Lat() float64 { return p[1] }

// Orb returns the place as an orb.Point for geometry work.
func (p WGS84) Orb() orb.Point { return orb.Point(p) }
