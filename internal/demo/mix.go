// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package demo

// Shares by month, January first.
type season [12]float64

var (
	allYear   = season{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}
	fireTime  = season{0.4, 0.9, 3.4, 4.2, 2.6, 0.7, 0.3, 0.3, 0.6, 1.5, 1.6, 0.6} // dry grass, spring winds
	windTime  = season{0.5, 0.9, 2.6, 3.4, 2.4, 0.9, 0.4, 0.3, 0.4, 0.7, 0.9, 0.6}
	rainTime  = season{0, 0, 0.1, 0.3, 0.6, 1.6, 4.2, 3.9, 1.2, 0.2, 0, 0}
	snowTime  = season{4.1, 2.8, 0.8, 0.1, 0, 0, 0, 0, 0, 0.2, 1.6, 3.4}
	heating   = season{3.0, 2.4, 1.3, 0.4, 0.2, 0.2, 0.3, 0.3, 0.3, 1.4, 2.6, 2.8}
	bathing   = season{0, 0, 0.1, 0.4, 1.2, 2.6, 3.8, 3.3, 0.8, 0.1, 0, 0}
	grazing   = season{0.6, 0.6, 0.8, 1.3, 1.7, 1.5, 1.3, 1.3, 1.2, 0.9, 0.6, 0.6}
	warmHalf  = season{0.5, 0.5, 0.8, 1.1, 1.3, 1.4, 1.5, 1.5, 1.2, 0.9, 0.7, 0.5}
	building  = season{0.2, 0.2, 0.7, 1.3, 1.6, 1.6, 1.5, 1.5, 1.4, 1.2, 0.6, 0.2}
	yearEnd   = season{2.4, 1.3, 0.7, 0.6, 0.6, 0.7, 0.7, 0.7, 0.8, 0.9, 1.3, 1.9} // wages before the spring festival
	termTime  = season{0.5, 0.2, 1.3, 1.3, 1.3, 1.2, 0.2, 0.2, 1.5, 1.3, 1.3, 1.2}
	coldHalf  = season{1.7, 1.5, 1.2, 0.9, 0.7, 0.7, 0.7, 0.7, 0.8, 0.9, 1.2, 1.6}
	fireworks = season{3.2, 3.4, 0.5, 0.4, 0.4, 0.5, 0.5, 0.5, 0.6, 0.7, 0.7, 1.2}
)

// Shares by hour of the day, midnight first.
type hours [24]float64

var (
	office   = hours{0, 0, 0, 0, 0, 0, 0.2, 0.7, 3, 5, 5, 3.6, 1.2, 1.2, 3.6, 4.4, 4, 2.2, 0.7, 0.3, 0.2, 0.1, 0, 0}
	daylight = hours{0, 0, 0, 0, 0, 0.3, 1.2, 2.4, 4, 4.6, 4.6, 3.8, 2.4, 2.4, 3.6, 4, 3.8, 3.2, 2.2, 1, 0.4, 0.1, 0, 0}
	evening  = hours{0.6, 0.2, 0.1, 0.1, 0.1, 0.1, 0.4, 0.9, 1.4, 1.6, 1.7, 1.6, 1.6, 1.2, 1.3, 1.5, 1.8, 2.6, 4, 5, 5, 3.8, 2.2, 1.2}
	night    = hours{2.6, 1.6, 0.9, 0.5, 0.3, 0.3, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.8, 0.9, 0.6, 0.6, 0.7, 0.9, 1.3, 2.2, 3.6, 5, 5.2, 4.2}
	commute  = hours{0.2, 0.1, 0.1, 0.1, 0.2, 0.6, 1.8, 4.4, 4, 1.8, 1.6, 2.2, 2, 1.4, 1.5, 1.7, 2.4, 4.2, 4, 2, 1, 0.7, 0.5, 0.3}
	schoolUp = hours{0, 0, 0, 0, 0, 0, 0.8, 6, 2.4, 0.4, 0.4, 2.6, 1.4, 1.5, 0.6, 0.8, 5, 3.4, 0.8, 0.1, 0, 0, 0, 0}
	market   = hours{0, 0, 0, 0, 0, 0.4, 1.6, 3.4, 5, 5.4, 5, 3.8, 2, 1.2, 1.6, 1.8, 2.2, 2.8, 2.6, 1.6, 0.6, 0.2, 0, 0}
	dawn     = hours{0.8, 0.7, 0.7, 0.9, 1.5, 2.8, 4.4, 5.2, 4.6, 3.4, 2.4, 1.6, 1.2, 1, 1, 1.1, 1.4, 2, 2.4, 2.2, 1.8, 1.5, 1.2, 1}
	noonWind = hours{0.2, 0.1, 0.1, 0.1, 0.1, 0.2, 0.4, 0.8, 1.4, 2.2, 3.2, 4.4, 5, 5.2, 5, 4.4, 3.4, 2.4, 1.6, 1, 0.7, 0.5, 0.3, 0.2}
	anyHour  = hours{0.5, 0.4, 0.3, 0.3, 0.4, 0.6, 1, 1.6, 2.2, 2.4, 2.4, 2.2, 2, 1.9, 2, 2.1, 2.2, 2.2, 2, 1.8, 1.6, 1.3, 1, 0.7}
)

// Shares by day of the week, Monday first.
type week [7]float64

var (
	everyDay = week{1, 1, 1, 1, 1, 1, 1}
	workdays = week{1.25, 1.15, 1.1, 1.1, 1.1, 0.45, 0.35}
	weekends = week{0.85, 0.8, 0.85, 0.9, 1.1, 1.4, 1.3}
	schooldy = week{1.1, 1, 1, 1, 1.2, 0.1, 0.1}
)

// where says how a matter spreads over the kinds of places.
type where struct {
	seat, village, home, road, market, school, water, line, site float64
}

func (w where) weights() []float64 {
	return []float64{w.seat, w.village, w.home, w.road, w.market, w.school, w.water, w.line, w.site}
}

// Kinds of spots, in the order of where.weights.
const (
	atSeat = iota
	atVillage
	atHome
	atRoad
	atMarket
	atSchool
	atWater
	atLine
	atSite
	spotKinds
)

var (
	inTown    = where{seat: 8, village: 2}
	settled   = where{seat: 5, village: 4, home: 1}
	household = where{seat: 4, village: 4, home: 2}
	pasture   = where{village: 1.5, home: 8, road: 0.5}
	trading   = where{seat: 3, market: 7, village: 0.5}
	roadside  = where{seat: 2, village: 0.7, road: 7, market: 0.5}
)

// from says how a matter comes in.
type from struct{ field, phone, hotline, app, petition, device float64 }

func (f from) weights() []float64 {
	return []float64{f.field, f.phone, f.hotline, f.app, f.petition, f.device}
}

// sources are the words of the record for from.weights.
var sources = []string{"field", "phone", "hotline", "app", "petition", "device"}

var (
	patrol  = from{field: 70, phone: 12, hotline: 6, app: 12}
	calls   = from{field: 30, phone: 42, hotline: 16, app: 12}
	disputy = from{field: 46, phone: 24, hotline: 10, app: 8, petition: 12}
	letters = from{field: 5, phone: 20, hotline: 40, app: 15, petition: 20}
	sensors = from{field: 38, phone: 24, hotline: 6, app: 6, device: 26}
)

// matter is how one category behaves in the banner: how often, when, where, how
// it comes in, and what its titles say after the name of the place.
type matter struct {
	code   string
	weight float64 // share of all incidents, per mille or so
	season *season
	week   *week
	hours  *hours
	where  *where
	from   *from
	visit  float64 // share that needs somebody on the spot
	says   []string
}
