// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/paulmach/orb"
	"github.com/paulmach/orb/geojson"

	"onemap/analysis"
	"onemap/auth"
	"onemap/geo/cell"
	"onemap/geo/grid"
	"onemap/mirror"
	"onemap/store"
)

// HotCell is one cell of a study area.
type HotCell struct {
	Cell   string   `json:"cell" doc:"H3 index"`
	Count  int      `json:"count"`
	Z      *float64 `json:"z,omitempty" doc:"Gi*; left out where it is not tested"`
	P      *float64 `json:"p,omitempty" doc:"Two-sided probability by chance"`
	Q      *float64 `json:"q,omitempty" doc:"P with the false discovery rate held over the study area"`
	Strict *float64 `json:"strict,omitempty" doc:"As q, of p or the exact chance, whichever is greater: the class goes by it"`
	Class  string   `json:"class,omitempty" enum:"hot99,hot95,hot90,cold90,cold95,cold99,plain,too_few" doc:"Of method gi. Of method count too_few alone: the exposure is not known, or too small for a rate"`
	HotRate
}

// HotArea is the study area: the reader's grids, or those of them that were asked for.
type HotArea struct {
	Grids []GridName `json:"grids" doc:"The grids it is made of, the topmost alone"`
	Cells int        `json:"cells" doc:"All that share a point with one of the grids"`
}

// HotStudy is the study area with what one period has in it.
type HotStudy struct {
	HotArea
	Mean float64 `json:"mean" doc:"Incidents a whole cell, empty cells included"`
	HotRate
}

// GridName names a grid.
type GridName struct {
	Code string `json:"code"`
	Name string `json:"name"`
}

// HotSpots are the cells of a study area in a period, as of one sequence number.
type HotSpots struct {
	AsOf AsOf `json:"as_of"`
	HotPeriod
	Res    int       `json:"res"`
	Method string    `json:"method"`
	K      int       `json:"k,omitempty" doc:"Rings of neighbours; of method gi"`
	Per    *RatedBy  `json:"per,omitempty" doc:"What incidents are counted by; left out where nothing was asked for"`
	Study  HotStudy  `json:"study"`
	TooFew int       `json:"too_few,omitempty" doc:"Of method gi: cells that are not tested, as fewer than 5 are expected in the cell and those round it, or those are the whole study area. Of method count: told cells without a rate"`
	Cells  []HotCell `json:"cells" doc:"Those with incidents, and those that are hot or cold. The hottest first; of method count with per the greatest low first"`
}

// HotWhich says of which incidents.
type HotWhich struct {
	Category string `query:"category" maxLength:"16" doc:"A category, or a top category with all below it"`
	Grid     string `query:"grid" maxLength:"64" doc:"Code of a grid, with all below it"`
}

// HotQuery says of which incidents, in one period, beside which neighbours.
type HotQuery struct {
	From time.Time `query:"from" required:"true" doc:"Reported at or after"`
	To   time.Time `query:"to" required:"true" doc:"Reported before; at most 3660 days later"`
	HotWhich
	K int `query:"k" minimum:"1" maximum:"3" default:"2" doc:"Rings of neighbours of a cell; of method gi"`
}

// HotRes says of what size the cells are.
type HotRes struct {
	Res int `query:"res" minimum:"6" maximum:"9" default:"8" doc:"Resolution of the cells: 6 (36 km2), 7 (5.2), 8 (0.74) or 9 (0.11)"`
}

// HotQuestion is what is asked about hot spots.
type HotQuestion struct {
	HotQuery
	HotRes
	HotPer
	Method string `query:"method" enum:"count,gi" default:"gi" doc:"count: how many; gi: where more or fewer than chance brings"`
}

type hotSpotsInput struct {
	HotQuestion
	Accept string `header:"Accept"`
}

const (
	longestHeat = 3660 * 24 * time.Hour // that cells are counted over
	mostTold    = 30_000                // cells in an answer
	mostSteps   = 1_000_000             // cells of a study area times steps of a period
)

func (s *Server) hotSpots() {
	route(s, need{auth.Read, auth.HotSpots}, huma.Operation{
		Metadata:    map[string]any{patient: countTime},
		OperationID: "hotspots", Method: http.MethodGet, Path: "/api/v1/hotspots", Tags: []string{"figures"},
		Summary: "Hot spots: incidents by cell, and where they are more than chance brings", Errors: []int{404, 422},
		Description: "Cells are H3's; the study area is the reader's scope and is named. Incidents whose place is never shown are not in it. docs/HOTSPOTS.md defines the classes.",
		Responses:   s.listOrFeatures(reflect.TypeFor[HotSpots]()),
	}, s.listHotSpots)
	route(s, need{auth.Read, auth.HotSpots}, huma.Operation{
		Metadata:    map[string]any{patient: countTime},
		OperationID: "hotspot", Method: http.MethodGet, Path: "/api/v1/hotspots/{cell}", Tags: []string{"figures"},
		Summary: "Why a cell is hot: its count, its neighbours, what is expected, its categories, its incidents", Errors: []int{404, 422},
	}, s.whyHot)
	route(s, need{auth.Read, auth.HotSpots}, huma.Operation{
		Metadata:    map[string]any{patient: countTime},
		OperationID: "hotspots-compare", Method: http.MethodGet, Path: "/api/v1/hotspots/compare", Tags: []string{"figures"},
		Summary: "Two periods compared: by cell, how the rate of incidents changed, and where by more than chance brings", Errors: []int{404, 422},
		Description: "Cells and study area are those of /api/v1/hotspots. Ratios are of incidents by day; those that are infinite are left out. docs/HOTSPOTS.md defines the classes.",
		Responses:   s.listOrFeatures(reflect.TypeFor[HotChanges]()),
	}, s.compareHotSpots)
	route(s, need{auth.Read, auth.HotSpots}, huma.Operation{
		Metadata:    map[string]any{patient: countTime},
		OperationID: "hotspots-emerging", Method: http.MethodGet, Path: "/api/v1/hotspots/emerging", Tags: []string{"figures"},
		Summary: "How hot spots came about: a period in steps of one length, Gi* of each, and the pattern of each cell", Errors: []int{404, 422},
		Description: "Cells and study area are those of /api/v1/hotspots; steps times cells are 1,000,000 at most. docs/HOTSPOTS.md defines the patterns.",
		Responses:   s.listOrFeatures(reflect.TypeFor[HotCourses]()),
	}, s.emergingHotSpots)
}

// heatAsked is a question about cells.
type heatAsked struct {
	periods []analysis.Period
	HotWhich
	res, rings int
	why        cell.Cell // that has to be in the study area, or 0
	most       int       // cells of the study area; 0 for as many as there may be
	per        string    // what incidents are counted by; "" for nothing
}

// heat is one question answered: the study area, and what was counted in it.
type heat struct {
	study   *analysis.Study
	tree    *grid.Tree
	grids   []int
	area    HotArea
	asOf    AsOf // of all periods
	periods []counted
	exposed *exposed // of the first period; nil where nothing was asked for
	done    func()   // gives back the place of who counts and judges much
}

// counted is one period.
type counted struct {
	HotPeriod
	counts []float64      // by cell of the study area
	kinds  map[string]int // of the cell why, by category
	byGrid map[int32]int  // likewise, by the number of the grid
}

// HotPeriod says what one period has.
type HotPeriod struct {
	From       time.Time `json:"from"`
	To         time.Time `json:"to"`
	Counted    int       `json:"counted" doc:"Incidents in the cells of the study area"`
	Elsewhere  int       `json:"elsewhere" doc:"Incidents outside it: outside every grid, or in a border that was redrawn since"`
	NotLocated int       `json:"not_located" doc:"Incidents without a place"`
}

// heatOf counts each of the periods, all as of one moment. Whoever judges them calls done
// afterwards.
func (s *Server) heatOf(ctx context.Context, a caller, in *heatAsked) (h *heat, err error) {
	var long time.Duration
	for _, p := range in.periods {
		d := p.To.Sub(p.From)
		if d <= 0 || d > longestHeat {
			return nil, problem(http.StatusUnprocessableEntity, "give a period: to after from, by 3660 days at most")
		}
		long += d
	}
	by, err := s.ratedBy(a, in)
	if err != nil {
		return nil, err
	}
	narrow, err := s.filter(ctx, a, &listInput{Grid: in.Grid, Category: in.Category})
	if err != nil {
		return nil, err
	}
	h = &heat{tree: s.o.Catalogue.Now().Tree, done: func() {}, exposed: by}
	if h.grids = topmost(h.tree, a.Scope, in.Grid); len(h.grids) == 0 {
		return nil, errNoGrid
	}
	given := false // to the caller

	if long > shortCount || len(in.periods) > 2 || in.per == perPatrol { // many steps are much to judge, however short, and fixes are many
		if err := s.await(ctx, s.counting, "busy_figures"); err != nil {
			return nil, err
		}
		done := func() { <-s.counting }
		h.done = done
		defer func() {
			if !given {
				done() // after a panic too
			}
		}()
	}
	h.study, err = s.studies.Of(ctx, h.tree, h.grids, in.res, in.rings)
	switch {
	case errors.Is(err, analysis.ErrTooFine):
		return nil, problem(http.StatusUnprocessableEntity, fmt.Sprintf("cells of resolution %d are too many for this area, more than %d: take a coarser one", in.res, analysis.MostCells))
	case err != nil:
		return nil, err
	case in.why != 0:
		if _, inside := h.study.Index(in.why); !inside {
			return nil, errNoCell
		}
	}
	if h.area.Cells = h.study.Len(); in.most > 0 && h.area.Cells > in.most {
		return nil, problem(http.StatusUnprocessableEntity, fmt.Sprintf("%d cells in %d steps are too much, more than %d together: take fewer steps, a coarser resolution or a smaller grid", h.area.Cells, len(in.periods), mostSteps))
	}
	for _, i := range h.grids {
		n := h.tree.Nodes()[i]
		h.area.Grids = append(h.area.Grids, GridName{string(n.Code), n.Name})
	}
	filter := store.CellFilter{Res: in.res, Grids: narrow.Grids, Categories: s.below(in.Category), Why: in.why}
	found, err := s.cellCounts(ctx, a, filter, in.periods)
	if err != nil {
		return nil, outOfTime(ctx, err, long)
	}
	for i, f := range found {
		h.asOf = AsOf{int64(f.Seq), s.o.Now()}
		c := counted{HotPeriod{From: in.periods[i].From, To: in.periods[i].To, NotLocated: f.NotLocated}, make([]float64, h.study.Len()), f.Categories, f.Grids}
		for _, k := range f.Cells {
			if i, inside := h.study.Index(k.Cell); inside {
				c.counts[i] = float64(k.N)
				c.Counted += k.N
			} else {
				c.Elsewhere += k.N
			}
		}
		h.periods = append(h.periods, c)
	}
	if h.exposed != nil {
		if err := s.expose(ctx, a, h.exposed, h); err != nil {
			return nil, err
		}
	}
	given = true
	return h, nil
}

// mirrorWait is how long counts wait for the incidents in memory to have what the
// database had when they were asked for.
const mirrorWait = 300 * time.Millisecond

// cellCounts counts in memory where that can be done, and else in the database: while
// incidents are read, or many come at once, and for who reads his own alone.
func (s *Server) cellCounts(ctx context.Context, a caller, f store.CellFilter, periods []analysis.Period) ([]store.CellCounts, error) {
	db := s.reads(a)
	if s.o.Mirror != nil {
		wait, cancel := context.WithTimeout(ctx, mirrorWait)
		defer cancel()
		if end, err := db.FeedEnd(wait); err == nil {
			if v, err := s.o.Mirror.Await(wait, end, mirrorWait); err == nil {
				if found, err := v.CellCounts(a.Scope, a.View, f, periods...); !errors.Is(err, mirror.ErrNarrowed) {
					return found, err
				}
			}
		}
	}
	return db.CellCounts(ctx, a.Scope, a.View, f, periods...)
}

// below are a category's code and those of the categories below it; nil for none.
func (s *Server) below(code string) (codes []string) {
	if code == "" {
		return nil
	}
	for _, c := range s.o.Catalogue.Now().Categories {
		if c.Code == code || c.Parent == code {
			codes = append(codes, c.Code)
		}
	}
	return codes
}

// judge is Gi* of one period.
func (h *heat) judge(c counted) []analysis.Spot {
	return analysis.HotSpots(c.counts, h.study.Shares, h.study.Around)
}

// mean is how many incidents a whole cell has in a period.
func (h *heat) mean(c counted) float64 { return float64(c.Counted) / max(h.study.Whole, 1) }

// topmost are the grids in scope, within the grid of that code if one is named, without
// those below another of them; in order.
func topmost(t *grid.Tree, scope auth.Scope, code string) (found []int) {
	within := func(n *grid.Node, lo, hi int32) bool { return lo <= n.No && n.Last <= hi }
	var named []int
	if code != "" {
		named = visible(t, scope, code)
	}
	nodes := t.Nodes()
	for i := range nodes {
		n := &nodes[i]
		seen := scope.All() || slices.ContainsFunc(scope.Intervals(), func(iv auth.Interval) bool { return within(n, iv.Lo, iv.Hi) })
		asked := code == "" || slices.ContainsFunc(named, func(j int) bool { return within(n, nodes[j].No, nodes[j].Last) })
		below := slices.ContainsFunc(found, func(j int) bool { return within(n, nodes[j].No, nodes[j].Last) })
		if seen && asked && !below {
			found = append(found, i)
		}
	}
	return found
}

// hotCell is what is told of cell i, by its spot where the method is gi.
func (h *heat) hotCell(i int, count float64, spots []analysis.Spot) HotCell {
	c := HotCell{Cell: h.study.At(i).String(), Count: int(count)}
	if spots != nil {
		spot := spots[i]
		c.Class = string(spot.Class)
		if spot.Tested {
			c.Z, c.P, c.Q, c.Strict = &spot.Z, &spot.P, &spot.Q, &spot.Strict
		}
	}
	if h.exposed != nil {
		c.HotRate = h.exposed.rate(count, h.exposed.of[i])
		if spots == nil && c.Rate == nil {
			c.Class = string(analysis.TooFew)
		}
	}
	return c
}

func (s *Server) listHotSpots(ctx context.Context, a caller, in *hotSpotsInput) (*listOutput, error) {
	b, err := s.hotSpotsOf(ctx, a, &in.HotQuestion)
	if err != nil {
		return nil, err
	}
	if !wantsFeatures(in.Accept) {
		return &listOutput{ContentType: "application/json", Body: b}, nil
	}
	fs, err := hotFeatures(b)
	return &listOutput{ContentType: "application/geo+json", Body: fs}, err
}

// hotSpotsOf answers a question, for the list and for tiles alike.
func (s *Server) hotSpotsOf(ctx context.Context, a caller, in *HotQuestion) (b HotSpots, err error) {
	ask := heatAsked{periods: []analysis.Period{{From: in.From, To: in.To}}, HotWhich: in.HotWhich, res: in.Res, rings: 1, per: in.Per} // as few as can be where nobody asks for neighbours
	if in.Method == "gi" {
		ask.rings = in.K
	}
	h, err := s.heatOf(ctx, a, &ask)
	if err != nil {
		return b, err
	}
	defer h.done()
	c := h.periods[0]
	b = HotSpots{AsOf: h.asOf, HotPeriod: c.HotPeriod, Res: in.Res, Method: in.Method, Study: HotStudy{HotArea: h.area, Mean: fourDigits(h.mean(c))}, Cells: []HotCell{}}
	var spots []analysis.Spot
	if in.Method == "gi" {
		b.K, spots = in.K, h.judge(c)
	}
	if h.exposed != nil {
		b.Per, b.Study.HotRate = &h.exposed.RatedBy, h.exposed.rate(float64(c.Counted), h.exposed.whole)
	}
	for i, n := range c.counts {
		told := n > 0
		if spots != nil {
			switch spots[i].Class {
			case analysis.TooFew:
				b.TooFew++
			case analysis.Plain:
			default:
				told = true
			}
		}
		if told {
			cell := h.hotCell(i, n, spots)
			if b.Cells = append(b.Cells, cell); spots == nil && cell.Class != "" {
				b.TooFew++
			}
		}
	}
	if len(b.Cells) > mostTold {
		return b, errTooManyCells
	}
	order := hotter
	if spots == nil && h.exposed != nil {
		order = oftener
	}
	slices.SortStableFunc(b.Cells, func(x, y HotCell) int { return order(y, x) })
	return b, nil
}

var errTooManyCells = problem(http.StatusUnprocessableEntity, fmt.Sprintf("that is more than %d cells: take a coarser resolution, a shorter period or a smaller grid", mostTold))

// hotter puts cells in order: by z, then by count. Not tested is coolest but for the cold.
func hotter(x, y HotCell) int {
	z := func(c HotCell) float64 {
		if c.Z == nil {
			return 0
		}
		return *c.Z
	}
	return cmp.Or(cmp.Compare(z(x), z(y)), cmp.Compare(x.Count, y.Count))
}

func hotFeatures(b HotSpots) (*geojson.FeatureCollection, error) {
	all, err := cellFeatures(b.Cells, func(c HotCell) (string, geojson.Properties) {
		p := geojson.Properties{"cell": c.Cell, "count": c.Count}
		if c.Class != "" {
			p["class"] = c.Class
		}
		setGiven(p, "z", c.Z)
		setGiven(p, "p", c.P)
		setGiven(p, "q", c.Q)
		setGiven(p, "strict", c.Strict)
		setGiven(p, "exposure", c.Exposure)
		setGiven(p, "rate", c.Rate)
		setGiven(p, "low", c.Low)
		setGiven(p, "high", c.High)
		return c.Cell, p
	})
	if err != nil {
		return nil, err
	}
	all.ExtraMembers = geojson.Properties{"as_of": b.AsOf, "from": b.From, "to": b.To, "res": b.Res, "method": b.Method, "k": b.K, "too_few": b.TooFew, "study": b.Study, "counted": b.Counted, "elsewhere": b.Elsewhere, "not_located": b.NotLocated}
	if b.Per != nil {
		all.ExtraMembers["per"] = b.Per
	}
	return all, nil
}

// cellFeatures are cells as polygons.
func cellFeatures[C any](cells []C, told func(C) (cell string, properties geojson.Properties)) (*geojson.FeatureCollection, error) {
	var out []*geojson.Feature
	for _, c := range cells {
		code, properties := told(c)
		at, err := cell.Parse(code)
		if err != nil {
			return nil, err
		}
		ring, err := at.Boundary()
		if err != nil {
			return nil, err
		}
		f := geojson.NewFeature(orb.Polygon{ring})
		f.ID, f.Properties = code, properties
		out = append(out, f)
	}
	return features(out), nil
}

// setGiven sets a property that is there.
func setGiven(p geojson.Properties, name string, v *float64) {
	if v != nil {
		p[name] = *v
	}
}

// WhyHot says why a cell is hot, cold or neither.
type WhyHot struct {
	HotCell
	AsOf       AsOf            `json:"as_of"`
	Per        *RatedBy        `json:"per,omitempty" doc:"What incidents are counted by, left out where nothing was asked for"`
	Study      *HotRate        `json:"study,omitempty" doc:"The rate of the whole study area, beside it"`
	Near       int             `json:"near" doc:"Incidents in the cell and those round it"`
	NearCells  int             `json:"near_cells" doc:"How many cells those are; fewer at the edge of the study area"`
	Expected   float64         `json:"expected" doc:"Incidents there by the mean of the study area; of a cell that lies in it by a part, that part"`
	Neighbours []HotCell       `json:"neighbours" doc:"The cells round it that have incidents, the most first"`
	Categories []CategoryCount `json:"categories" doc:"Of the cell's incidents, the most first"`
	Told       CellTold        `json:"told" doc:"Of the cell's incidents, to who may not read them one by one"`
	Grids      []CellGrid      `json:"grids" doc:"Those of the caller's grids that the cell lies in, by a part at least; the widest first, of one level those with most of its incidents"`
	Rows       string          `json:"rows" doc:"The query of GET /api/v1/incidents that lists the cell's incidents"`
	Centre     []float64       `json:"centre" doc:"Longitude and latitude in WGS-84"`
}

type whyInput struct {
	Cell string `path:"cell" maxLength:"16" pattern:"^[0-9a-f]{15,16}$" doc:"H3 index"`
	HotQuery
	HotPer
}

type whyOutput struct{ Body WhyHot }

func (s *Server) whyHot(ctx context.Context, a caller, in *whyInput) (*whyOutput, error) {
	c, err := cell.Parse(in.Cell)
	if err != nil || c.Res() < 6 || c.Res() > 9 {
		return nil, problem(http.StatusUnprocessableEntity, "cell must be an H3 index of resolution 6 to 9")
	}
	h, err := s.heatOf(ctx, a, &heatAsked{periods: []analysis.Period{{From: in.From, To: in.To}}, HotWhich: in.HotWhich, res: c.Res(), rings: in.K, why: c, per: in.Per})
	if err != nil {
		return nil, err
	}
	defer h.done()
	of := h.periods[0]
	spots := h.judge(of)
	i, _ := h.study.Index(c)
	at, err := c.Centre()
	if err != nil {
		return nil, err
	}
	out := &whyOutput{Body: WhyHot{HotCell: h.hotCell(i, of.counts[i], spots), AsOf: h.asOf, Neighbours: []HotCell{}, Categories: []CategoryCount{}, Centre: []float64{at.Lon(), at.Lat()}}}
	b := &out.Body
	if h.exposed != nil {
		b.Per, b.Study = &h.exposed.RatedBy, new(HotRate)
		*b.Study = h.exposed.rate(float64(of.Counted), h.exposed.whole)
	}
	whole := 0.0
	for _, j := range h.study.Around.Of(i) {
		whole += h.study.Shares[j]
		b.Near += int(of.counts[j])
		b.NearCells++
		if int(j) != i && of.counts[j] > 0 {
			b.Neighbours = append(b.Neighbours, h.hotCell(int(j), of.counts[j], spots))
		}
	}
	b.Expected = fourDigits(h.mean(of) * whole)
	slices.SortStableFunc(b.Neighbours, func(x, y HotCell) int { return y.Count - x.Count })
	for code, n := range of.kinds {
		b.Categories = append(b.Categories, CategoryCount{code, s.o.Catalogue.Now().Categories[code].NameZH, n})
	}
	slices.SortFunc(b.Categories, func(x, y CategoryCount) int {
		return cmp.Or(cmp.Compare(y.Count, x.Count), cmp.Compare(x.Code, y.Code))
	})
	if b.Told, err = cellTold(b.Categories); err != nil {
		return nil, err
	}
	if b.Grids, err = s.gridsOf(ctx, h.tree, a.Scope, c, of.byGrid); err != nil {
		return nil, err
	}
	rows := url.Values{"cell": {in.Cell}, "from": {in.From.Format(time.RFC3339Nano)}, "to": {in.To.Format(time.RFC3339Nano)}}
	for k, v := range map[string]string{"category": in.Category, "grid": in.Grid} {
		if v != "" {
			rows.Set(k, v)
		}
	}
	b.Rows = rows.Encode()
	return out, nil
}

// errNoCell answers for a cell that is none, and for one beyond the caller's grids.
var errNoCell = problem(http.StatusNotFound, "there is no such cell in the study area")
