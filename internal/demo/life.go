// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"onemap/dispatch"
)

// life tells an incident's acts one after another until the present moment cuts
// it off: what would come later has not happened yet.
type life struct {
	h     *History
	r     *rand.Rand
	in    *Incident
	at    int64 // unix seconds of the newest act
	state dispatch.State
	cut   bool
	// who acts
	worker, desk string
}

// step adds an act that comes seconds later.
func (l *life) step(after float64, kind string, to dispatch.State, actor, reason string) {
	if l.cut {
		return
	}
	at := l.at + max(1, int64(after))
	if kind == "report" {
		at = l.at
	}
	if at > l.h.until {
		l.cut = true
		return
	}
	l.in.Steps = append(l.in.Steps, Step{Kind: kind, From: l.state, To: to, Actor: actor, At: moment(at), Reason: reason})
	l.at, l.state = at, to
	switch to {
	case dispatch.Acknowledged:
		if l.in.AcknowledgedAt.IsZero() {
			l.in.AcknowledgedAt = moment(at)
		}
	case dispatch.OnScene:
		l.in.OnSceneAt = moment(at)
	case dispatch.Resolved:
		l.in.ResolvedAt = moment(at)
	case dispatch.Rework:
		l.in.ResolvedAt = time.Time{}
	case dispatch.Closed:
		l.in.ClosedAt = moment(at)
	}
}

// minutes is a waiting time with this mean, in seconds.
func (l *life) minutes(mean float64) float64 { return (0.2 + 0.8*l.r.ExpFloat64()) * mean * 60 }

// live tells the life of in, reported at the unix second at in leaf (-1: none).
func (h *History) live(r *rand.Rand, in *Incident, k *kind, leaf int, at int64) {
	l := &life{h: h, r: r, in: in, at: at, desk: desks[r.IntN(len(desks))]}
	in.Steps = make([]Step, 0, 9)
	staff, km := r.IntN(Workers), 20.0
	if leaf >= 0 {
		staff = h.b.staff[leaf][r.IntN(len(h.b.staff[leaf]))]
		km = h.b.leaves[leaf].centre.dist(flat(in.Point.Orb()))
	}
	l.worker = "worker:" + strconv.Itoa(staff+1)
	l.step(0, "report", dispatch.Reported, l.reporter(), "")
	switch {
	case in.Category.Code == "9906":
		l.step(l.minutes(60), "refuse", dispatch.Refused, l.desk, "不属于受理范围，已告知办理途径")
	case in.Category.Code == "9905":
		l.step(l.minutes(40), "merge", dispatch.Merged, l.desk, "与在办事项重复，并案办理")
	case in.Place == dispatch.Outside && chance(r, 0.7):
		l.take()
		l.step(l.minutes(20), "transfer", dispatch.Transferred, l.desk, "位置在本旗界外，转相邻旗县")
	case in.Category.Code == "0201" || in.Category.Code == "0202":
		l.take()
		l.step(l.minutes(5), "transfer", dispatch.Transferred, l.desk, "移交公安处理")
	case in.Source == "field" && in.Category.HandlingLevel >= 3 && in.Priority >= 2 && chance(r, 0.75):
		l.onTheSpot()
	default:
		l.take()
		l.handle(k, km)
	}
	l.finish()
	in.State = l.state
}

var desks = []string{"desk:1", "desk:2", "desk:3", "desk:4", "desk:5", "desk:6"}

func (l *life) reporter() string {
	switch l.in.Source {
	case "field":
		return l.worker
	case "app", "device":
		return "source:" + l.in.Source
	}
	return l.desk
}

// take is the desk's part: accept and route.
func (l *life) take() {
	l.step(l.ofLimit(0.10), "accept", dispatch.Accepted, l.desk, "")
	l.step(l.ofLimit(0.04), "route", dispatch.Routed, l.desk, "")
}

// ofLimit is a waiting time that is on average this share of the limit to sign.
func (l *life) ofLimit(share float64) float64 {
	return l.minutes(share * float64(l.in.Category.AckMinutes))
}

// onTheSpot is 即报即办: done by the worker who reported it, within the hour or so.
func (l *life) onTheSpot() {
	l.step(l.minutes(25), "resolve", dispatch.Resolved, l.worker, "即报即办")
}

// handle is the way of a routed incident to its end: signed for by the lead
// department or by a worker who was sent, with the mishaps of such ways.
func (l *life) handle(k *kind, km float64) {
	actor := l.worker
	if l.in.Category.HandlingLevel <= 2 && chance(l.r, 0.5) {
		actor = byDepartment
	}
	if chance(l.r, 0.015) {
		l.step(l.ofLimit(0.3), "return", dispatch.Returned, actor, "职责不符，退回改派")
		l.step(l.ofLimit(0.1), "route", dispatch.Routed, l.desk, "")
	}
	if actor == l.worker {
		l.step(l.ofLimit(0.02), "dispatch", dispatch.Dispatched, l.desk, "")
	}
	l.step(l.ofLimit(0.25), "acknowledge", dispatch.Acknowledged, actor, "")
	if l.in.OwnerLevel > 1 && l.in.Category.SLAUnit == "wd" && chance(l.r, 0.03) {
		l.escalate()
		actor = byDepartment
	}
	if l.in.Category.SLAUnit == "wd" && l.in.Category.SLAValue >= 5 && chance(l.r, 0.07) {
		l.suspend()
	}
	if chance(l.r, k.visit) {
		l.step(l.travel(km), "arrive", dispatch.OnScene, actor, "")
	}
	l.step(l.work(km), "resolve", dispatch.Resolved, actor, "")
}

// escalate hands the incident to the level above.
func (l *life) escalate() {
	l.step(l.minutes(300), "escalate", dispatch.Escalated, l.worker, "超出本级处置权限")
	l.step(l.minutes(60), "route", dispatch.Routed, l.desk, "")
	if !l.cut {
		l.in.OwnerLevel--
	}
	l.step(l.ofLimit(0.4), "acknowledge", dispatch.Acknowledged, byDepartment, "")
}

// suspend puts the incident aside for a season; its clock starts again after.
func (l *life) suspend() {
	l.step(l.minutes(1500), "suspend", dispatch.Suspended, l.desk, "需待季节施工，挂账复核")
	l.step(float64(day)*(30+90*l.r.Float64()), "resume", dispatch.Acknowledged, l.desk, "挂账期满，继续办理")
	if !l.cut {
		l.h.due(l.in, l.at)
		l.in.AckDue = moment(l.in.ReportedAt.Unix() + int64(l.in.Category.AckMinutes)*60)
	}
}

// travel is the time to the spot: getting ready by priority, then the road.
func (l *life) travel(km float64) float64 {
	kmh := 40.0
	ready := []float64{3, 8, 45, 90}[l.in.Priority-1]
	if l.in.Priority == 1 {
		kmh = 65
	}
	left := float64(l.in.StageDue.Unix() - l.at)
	t := l.minutes(min(ready, max(3, left/60*0.15))) + 1.35*km/kmh*3600
	if l.in.Priority >= 3 && left > 18*3600 {
		t = float64(daytime(l.r, l.at+int64(t)) - l.at)
	}
	return t
}

// work is the time from the newest act to the end: some share of what is left
// until the limit, by day for what is not urgent; about one in twenty is late.
func (l *life) work(km float64) float64 {
	due, whole := l.in.StageDue.Unix(), l.in.StageDue.Unix()-l.in.ReportedAt.Unix()
	left := float64(due - l.at)
	late := 0.035
	if km > 6 && l.in.Priority <= 2 {
		late = 0.12 // far out
	}
	switch {
	case left < 300:
		return l.minutes(20)
	case chance(l.r, 0.038): // a knot of years takes weeks
		return left + l.r.ExpFloat64()*45*day
	case chance(l.r, late):
		return left + 60 + l.r.ExpFloat64()*0.5*float64(whole)
	}
	f := l.r.Float64()
	t := l.at + int64(left*(0.03+0.92*math.Sqrt(f)*f))
	if left > 18*3600 {
		if d := daytime(l.r, t); d <= due {
			t = d
		}
	}
	return float64(t - l.at)
}

// finish is what comes after the work: the check, seldom a second round, the
// call-back and the close.
func (l *life) finish() {
	if l.state == dispatch.Resolved && chance(l.r, 0.02) {
		l.step(l.minutes(500), "rework", dispatch.Rework, l.desk, "核查未达标，退回返工")
		l.step(l.minutes(1200), "resolve", dispatch.Resolved, l.worker, "")
	}
	if l.state == dispatch.Resolved {
		check, callBack := 1500.0, 3600.0
		if l.in.Priority <= 2 {
			check, callBack = 500, 2400
		}
		if chance(l.r, 0.15) {
			callBack = 20000 // nobody answers at first
		}
		l.step(l.inOffice(check), "verify", dispatch.Verified, l.desk, "")
		l.step(l.inOffice(callBack), "close", dispatch.Closed, l.desk, "")
	}
	if l.state == dispatch.Dispatched {
		// An open incident is never left with an offer that nobody holds.
		l.in.Steps = l.in.Steps[:len(l.in.Steps)-1]
		l.state = dispatch.Routed
	}
}

// inOffice is a waiting time that ends within office hours.
func (l *life) inOffice(mean float64) float64 {
	t := daytime(l.r, l.at+int64(l.minutes(mean)))
	for !l.h.working(t) {
		t += day
	}
	return float64(t - l.at)
}

// daytime moves the unix second t into the hours from 8:30 to 18:00, Shanghai
// time, forward.
func daytime(r *rand.Rand, t int64) int64 {
	const morning, night = 8*3600 + 1800, 18 * 3600
	s := (t + zone) % day
	switch {
	case s < morning:
		return t - s + morning + r.Int64N(5400)
	case s >= night:
		return t - s + day + morning + r.Int64N(5400)
	}
	return t
}
