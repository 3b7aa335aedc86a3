// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"onemap/dispatch"
	"onemap/dispatch/calendar"
	"onemap/geo"
)

// History is the banner's past: incidents over the two years up to a moment,
// day by day. Days do not depend on each other and may be made in any order,
// several at once.
type History struct {
	b      *Banner
	cal    calendar.Calendar
	until  int64  // unix seconds
	first  int64  // midnight of the first day, local seconds
	counts []int  // incidents by day
	before []int  // incidents of all earlier days
	work   []bool // by day, some way past the last: a working day
	kinds  []kind
	hot    []hotSpot
}

// kind is a matter with its category and the wheels to draw from.
type kind struct {
	matter
	cat   dispatch.Category
	hour  wheel
	spots wheel // over kinds of spots
	from  wheel
}

// zone is Asia/Shanghai: eight hours east since 1991, no summer time. Local
// seconds are unix seconds plus zone.
const (
	zone = 8 * 3600
	day  = 24 * 3600
)

// spanDays is how far back the history goes, the last day included.
const spanDays = 731

// History makes the banner's history of total incidents up to until.
func (b *Banner) History(until time.Time, cal calendar.Calendar, total int) (*History, error) {
	h := &History{b: b, cal: cal, until: until.Unix()}
	local := h.until + zone
	h.first = local - local%day - (spanDays-1)*day
	cats := map[string]dispatch.Category{}
	for _, c := range dispatch.DefaultCategories() {
		cats[c.Code] = c
	}
	for _, m := range matters {
		c, ok := cats[m.code]
		if !ok {
			return nil, fmt.Errorf("demo: no category %s", m.code)
		}
		h.kinds = append(h.kinds, kind{
			matter: m, cat: c, hour: newWheel(m.hours[:]), spots: newWheel(m.where.weights()), from: newWheel(m.from.weights()),
		})
	}
	h.hot = b.hotSpots()
	h.work = make([]bool, spanDays+400)
	for d := range h.work {
		h.work[d], _ = cal.Working(moment(h.first + int64(d)*day - zone))
	}
	weights := make([]float64, spanDays)
	for d := range weights {
		for _, w := range h.weights(d) {
			weights[d] += w
		}
	}
	weights[spanDays-1] *= h.elapsed()
	h.counts = apportion(total, weights)
	if busiest := slices.Index(h.counts, slices.Max(h.counts)); h.counts[spanDays-1] == 0 && total > 1 {
		h.counts[spanDays-1]++ // never an empty today
		h.counts[busiest]--
	}
	h.before = make([]int, spanDays)
	for d := 1; d < spanDays; d++ {
		h.before[d] = h.before[d-1] + h.counts[d-1]
	}
	return h, nil
}

// Days is the number of days, the last one until the moment included.
func (h *History) Days() int { return len(h.counts) }

// All is every incident in the order of the reports.
func (h *History) All() iter.Seq[Incident] { return h.From(0) }

// From is every incident but the first n, in the order of the reports.
func (h *History) From(n int) iter.Seq[Incident] {
	return func(yield func(Incident) bool) {
		for d := range h.counts {
			if h.before[d]+h.counts[d] <= n {
				continue
			}
			for _, in := range h.Day(d) {
				if in.Number > n && !yield(in) {
					return
				}
			}
		}
	}
}

// Last is every incident of the last day: today's, seen from the moment.
func (h *History) Last() iter.Seq[Incident] { return slices.Values(h.Day(h.Days() - 1)) }

// working says whether the day of the unix second t is a working day.
func (h *History) working(t int64) bool {
	d := (t + zone - h.first) / day
	return d >= int64(len(h.work)) || h.work[d]
}

// weights are the shares of the kinds on day d: the season, the weekday, the
// weather, the market, and a slow growth of the whole.
func (h *History) weights(d int) []float64 {
	r := stream(h.b.Seed, "days", d)
	t := time.Unix(h.first+int64(d)*day, 0).UTC() // local, written as UTC
	weekday := (int(t.Weekday()) + 6) % 7
	switch {
	case h.work[d] && weekday >= 5:
		weekday = 2 // worked in exchange for a holiday
	case !h.work[d] && weekday < 5:
		weekday = 6 // a holiday
	}
	grow := (0.92 + 0.2*float64(d)/spanDays) * math.Exp(0.07*r.NormFloat64())
	storm := math.Exp(0.9*r.NormFloat64() - 0.4) // weather comes in bouts
	out := make([]float64, len(h.kinds))
	for i, k := range h.kinds {
		w := k.weight * grow * k.week[weekday] * monthly(k.season, t)
		switch k.season {
		case &snowTime, &rainTime, &windTime, &fireTime:
			w *= storm
		}
		if k.where == &trading && marketDay(t) {
			w *= 2.4
		}
		out[i] = w
	}
	return out
}

// monthly glides from the middle of one month to the middle of the next.
func monthly(s *season, t time.Time) float64 {
	m := int(t.Month()) - 1
	f := (float64(t.Day()) - 15.5) / 30.5
	next := (m + 1) % 12
	if f < 0 {
		next, f = (m+11)%12, -f
	}
	return s[m]*(1-f) + s[next]*f
}

// marketDay says whether markets are held: days ending in 2, 5 and 8.
func marketDay(t time.Time) bool {
	n := t.Day() % 10
	return n == 2 || n == 5 || n == 8
}

// elapsed is the share of the last day's incidents that fall before until.
func (h *History) elapsed() float64 {
	var sum, past float64
	now := float64((h.until+zone)%day) / 3600
	for i, w := range h.weights(spanDays - 1) {
		for hour, x := range h.kinds[i].hours {
			x *= w / h.kinds[i].hour.total()
			sum += x
			past += x * max(0, min(1, now-float64(hour)))
		}
	}
	return past / sum
}

// Day makes the incidents of day d (0 is the first), in the order of the
// reports.
func (h *History) Day(d int) []Incident {
	r := stream(h.b.Seed, "incidents", d)
	wheel := newWheel(h.weights(d))
	midnight := h.first + int64(d)*day - zone
	type draft struct {
		at   int64
		kind int
		hot  int // place in h.hot, -1 for none
	}
	drafts := make([]draft, 0, h.counts[d])
	for i, s := range h.hot {
		for range min(s.today(r, spanDays-1-d, h.counts[d]), h.counts[d]-len(drafts)) {
			k := s.kinds[r.IntN(len(s.kinds))]
			drafts = append(drafts, draft{h.moment(r, midnight, k), k, i})
		}
	}
	for len(drafts) < h.counts[d] {
		k := wheel.spin(r)
		drafts = append(drafts, draft{h.moment(r, midnight, k), k, -1})
	}
	slices.SortStableFunc(drafts, func(a, b draft) int { return cmp.Compare(a.at, b.at) })
	out := make([]Incident, len(drafts))
	for i, f := range drafts {
		in := &out[i]
		in.Number = h.before[d] + i + 1
		var s *spot
		if f.hot >= 0 {
			s = &h.hot[f.hot].spot
		}
		h.make(r, in, &h.kinds[f.kind], s, f.at)
	}
	return out
}

// moment draws the second of the day a matter of kind k is reported, never
// after until.
func (h *History) moment(r *rand.Rand, midnight int64, k int) int64 {
	for range 30 {
		at := midnight + int64(h.kinds[k].hour.spin(r))*3600 + r.Int64N(3600)
		if at <= h.until {
			return at
		}
	}
	return midnight + r.Int64N(max(1, h.until-midnight))
}

// make fills in an incident of kind k reported at the unix second at. s is nil
// unless it belongs to a hot spot.
func (h *History) make(r *rand.Rand, in *Incident, k *kind, s *spot, at int64) {
	in.Category = k.cat
	in.ExternalID = fmt.Sprintf("DEMO-%07d", in.Number)
	in.Source = sources[k.from.spin(r)]
	in.Priority = k.cat.Priority
	if chance(r, 0.04) {
		in.Priority = max(1, min(4, in.Priority+r.IntN(3)-1))
	}
	in.ReportedAt = moment(at)
	in.OccurredAt = moment(at - 60 - int64(r.ExpFloat64()*900))
	if s == nil {
		kind := k.spots.spin(r)
		s = &h.b.spots[kind][h.b.wheels[kind].spin(r)]
	}
	l := h.place(r, in, s)
	in.Title = s.name + k.says[r.IntN(len(k.says))]
	in.Text = leadIn[in.Source] + in.Title + wish[r.IntN(len(wish))]
	h.due(in, at)
	h.live(r, in, k, l, at)
}

var leadIn = map[string]string{
	"field": "网格员巡查发现：", "phone": "来电反映：", "hotline": "热线转来：", "app": "小程序上报：",
	"petition": "信访件反映：", "device": "设备告警：",
}

var wish = []string{"，请核实处理。", "，请安排人员查看。", "。", "，请尽快处理。", "，请回复办理结果。"}

// place puts the incident at spot s, in a leaf; now and then outside the banner
// or nowhere at all. It returns the leaf, -1 for none.
func (h *History) place(r *rand.Rand, in *Incident, s *spot) int {
	in.Place = dispatch.InGrid
	switch {
	case chance(r, 0.002):
		in.Place = dispatch.Outside
	case in.Category.Precision == "none" && in.Source == "phone" && chance(r, 0.12), in.Category.Code == "9906" && chance(r, 0.3):
		in.Place = dispatch.NoPlace
		in.Address = RootName
		return -1
	}
	for try := 0; ; try++ {
		q := s.draw(r)
		if in.Place == dispatch.Outside {
			q = h.beyond(r)
		} else if try > 20 {
			q = h.b.leaves[r.IntN(len(h.b.leaves))].centre
		}
		in.Raw = given(r, q.wgs84(), in.Source)
		p, err := in.Raw.WGS84()
		if err != nil {
			continue // cannot be: the banner is on earth
		}
		in.Point = p
		at := h.b.Tree.Locate(p).Index
		if in.Place == dispatch.Outside {
			if at < 0 {
				in.Address = "演示旗界外"
				return -1
			}
			continue
		}
		if l, ok := h.b.leafOf[at]; ok {
			in.Grid = at
			in.Address = h.b.leaves[l].full + s.near
			return l
		}
	}
}

// beyond is a place a little outside the banner's border.
func (h *History) beyond(r *rand.Rand) xy {
	ring := h.b.Drafts[0].Geom[0][0]
	q := flat(ring[r.IntN(len(ring))])
	far := 1 + (0.5+5*r.Float64())/math.Hypot(q.x, q.y)
	return xy{q.x * far, q.y * far}
}

// given is the place as its source gives it: telephones and web maps mostly
// shifted, own devices mostly not.
func given(r *rand.Rand, p geo.WGS84, source string) geo.Raw {
	shifted := map[string]float64{"field": 0.2, "phone": 0.6, "hotline": 0.85, "app": 0.85, "petition": 0.7}[source]
	if chance(r, shifted) {
		g := p.GCJ02()
		return geo.Raw{Lon: math.Round(g[0]*1e6) / 1e6, Lat: math.Round(g[1]*1e6) / 1e6, Datum: geo.DatumGCJ02}
	}
	return geo.Raw{Lon: p[0], Lat: p[1], Datum: geo.DatumWGS84}
}

// due sets the limits, by the rule of dispatch.Open.
func (h *History) due(in *Incident, at int64) {
	in.OwnerLevel = in.Category.HandlingLevel
	if in.Place != dispatch.InGrid {
		in.OwnerLevel = 1
	}
	in.AckDue = moment(at + int64(in.Category.AckMinutes)*60)
	d := h.cal.Due(in.ReportedAt, in.Category.SLAValue, calendar.Unit(in.Category.SLAUnit))
	in.StageDue, in.DueRule = d.At, d.Rule
}

func moment(unix int64) time.Time { return time.Unix(unix, 0).UTC() }
