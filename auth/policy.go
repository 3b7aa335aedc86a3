// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
)

// Action is what somebody wants to do with a resource.
type Action string

const (
	Read    Action = "read"    // look at it, as far as the cell says
	Write   Action = "write"   // make or change it
	Reveal  Action = "reveal"  // see what is masked; needs a reason, is counted and audited
	Approve Action = "approve" // agree to what somebody else proposed
	Remove  Action = "remove"  // take away what somebody added; needs a reason, is audited
)

// Resource is a kind of thing that the policy has a row for: data, a layer of
// the map, a topic of the live stream, an export.
type Resource string

const (
	Grid           Resource = "grid"          // the tree and its boundaries
	Overlay        Resource = "overlay"       // areas beside the tree: beats, specialist grids
	PlaceData      Resource = "place"         // places and addresses by name; nothing of persons
	IncidentData   Resource = "incident"      // incidents, but for who did what
	Journal        Resource = "journal"       // every act on an incident, and who did it
	Supervision    Resource = "supervision"   // 督办 of incidents, with their answers
	Remark         Resource = "remark"        // requests, instructions, joint sessions, call-backs, assistants; the dossier
	Request        Resource = "request"       // what one asks for and another decides
	Instruction    Resource = "instruction"   // 批示 of leaders
	OfferData      Resource = "offer"         // who is asked to go, and asking
	OfferAnswer    Resource = "offer_answer"  // what is said about an offer: by its worker, and taking it back by the desk
	Reporter       Resource = "reporter"      // name, phone and id number of who reported
	Attachment     Resource = "attachment"    // photos, recordings and films of incidents
	AdviceData     Resource = "advice"        // who should go to an incident, and who not
	Position       Resource = "position"      // where workers are now
	WorkerCount    Resource = "worker_count"  // how many are on duty
	Track          Resource = "track"         // where a worker has been
	OwnShift       Resource = "own_shift"     // a worker's own turn of duty
	Worker         Resource = "worker"        // ending shifts of workers, removing them with their work handed over
	StaffData      Resource = "staff"         // who serves and heads which grid, skills, duty officers, liaison officers; no names
	Contact        Resource = "contact"       // name and phone of who heads a unit or a building
	Handover       Resource = "handover"      // what one turn of a county's desk tells the next
	Figures        Resource = "figures"       // counts of incidents
	BulletinData   Resource = "bulletin"      // weekly bulletins, which count nothing sensitive, and making one
	HotSpots       Resource = "hotspots"      // counts of incidents by cell
	Events         Resource = "events"        // the live stream's topic of changes
	RowExport      Resource = "export_rows"   // incidents as a file
	CountExport    Resource = "export_counts" // small counts merged upward
	LayerGrids     Resource = "layer_grids"
	LayerRoads     Resource = "layer_roads"
	LayerAddresses Resource = "layer_addresses"
	LayerIncidents Resource = "layer_incidents" // incidents one by one, where they are
	LayerCameras   Resource = "layer_cameras"
	BaseMap        Resource = "base_map"      // the map beneath the layers: the same for everybody
	NamedLayer     Resource = "named_layer"   // what a centre brought in; each narrows it: see DecideLayer
	Selection      Resource = "selection"     // what lies inside something marked on the map; each kind by its own row too
	Call           Resource = "call"          // roll calls and messages to workers inside a mark
	CallAnswer     Resource = "call_answer"   // what a worker says to one
	LayerSetting   Resource = "setting_layer" // how a named layer is drawn, and who may see it
	ClockSetting   Resource = "setting_clock" // working days, office hours, limits, offsets of the ladder
	StepSetting    Resource = "setting_step"  // what the steps of an incident are called
	RuleSetting    Resource = "setting_rule"  // what advice and offers go by
	CameraLink     Resource = "camera_link"   // looking through a camera
	Account        Resource = "account"       // accounts, without rights
	GrantData      Resource = "grant"         // the rights of accounts
	TokenData      Resource = "token"         // machine tokens, wall links, sessions
	AuditLog       Resource = "audit"
	ServerStatus   Resource = "status"         // what the server is busy with
	WhistleData    Resource = "whistle"        // which departments an incident calls, and calling them
	WhistleAnswer  Resource = "whistle_answer" // what a called department says
	NoticeData     Resource = "notice"         // what units are told of areas, and telling them
	NoticeAnswer   Resource = "notice_answer"  // reading and answering it
	PatrolData     Resource = "patrol"         // what is visited how often
	VisitData      Resource = "visit"          // the visits of patrols, and what became of them
	VisitAnswer    Resource = "visit_answer"   // saying that a visit was made
)

// Reach is how far a role gets with a resource.
type Reach uint8

const (
	Nothing    Reach = iota
	OwnGrids         // the grids of the grant and all below them
	OwnWork          // what the worker reported or was given
	OwnDept          // what the department leads or assists with
	Self             // what the actor itself is or did
	Everything       // no place narrows it: settings, accounts, the audit log
)

// table is the policy. A cell is a reach: "-" nothing, "grid" the grids of the
// grant, "own", "dept", "self", "all"; "grid+flag" also holds sensitive
// categories for a grant with the flag, "grid+sens" for every grant; "?" asks
// for a reason; "open" while the incident is open. Leader and auditor, and the
// rows on reading people, follow the rule that nobody who administers the
// program reads a case, and that a wall and a leader are told no more of a person
// than they need.
const table = `
resource      action  system_admin security_admin auditor   county_leader hall_operator dispatcher town_operator village_head grid_worker    dept_handler    wall
grid          read    grid         grid           grid      grid          grid          grid       grid          grid         grid           grid            grid
grid          write   grid         -              -         -             -             -          -             -            -              -               -
overlay       read    grid         grid           grid      grid          grid          grid       grid          grid         grid           grid            grid
place         read    grid         grid           grid      grid          grid          grid       grid          grid         grid           grid            grid
incident      read    -            -              grid+sens grid+sens     grid+flag     grid+flag  grid+flag     grid         own+sens       dept+sens       grid+sens
incident      write   -            -              -         -             grid+flag     grid+flag  grid+flag     grid         own+sens       dept+sens       -
journal       read    -            -              grid+sens grid+sens     grid+flag     grid+flag  grid+flag     grid         own+sens       dept+sens       -
supervision   read    -            -              grid+sens grid+sens     grid+flag     grid+flag  grid+flag     grid         own+sens       dept+sens       -
supervision   write   -            -              -         -             grid+flag     grid+flag  grid+flag     grid         -              -               -
remark        read    -            -              -         grid+sens     grid+flag     grid+flag  grid+flag     grid         own+sens       dept+sens       -
request       approve -            -              -         grid+sens     grid+flag     grid+flag  -             -            -              -               -
instruction   write   -            -              -         grid+sens     -             -          -             -            -              -               -
offer         read    -            -              -         -             grid+flag     grid+flag  grid+flag     grid         own+sens       own+sens        -
offer         write   -            -              -         -             grid+flag     grid+flag  grid+flag     grid         -              -               -
offer_answer  write   -            -              -         -             grid+flag     grid+flag  grid+flag     grid         own+sens       own+sens        -
whistle       read    -            -              -         -             grid+flag     grid+flag  grid+flag     grid         own+sens       dept+sens       -
whistle       write   -            -              -         -             grid+flag     grid+flag  grid+flag     grid         -              -               -
whistle_answer write  -            -              -         -             grid+flag     grid+flag  grid+flag     grid         -              dept+sens       -
notice        read    -            -              -         -             grid          grid       grid          grid         -              dept            -
notice        write   -            -              -         -             grid          grid       grid          grid         -              -               -
notice_answer write   -            -              -         -             grid          grid       grid          grid         -              dept            -
patrol        read    -            -              -         -             grid          grid       grid          grid         -              -               -
patrol        write   -            -              -         -             grid          grid       grid          grid         -              -               -
visit         read    -            -              -         -             grid          grid       grid          grid         self           dept            -
visit_answer  write   -            -              -         -             -             -          -             -            self           dept            -
reporter      read    -            -              grid+sens grid+sens     grid+flag     grid+flag  grid+flag     grid         own+sens+open  dept+sens+open  -
reporter      reveal  -            -              -         -             grid+flag?    grid+flag? grid+flag?    -            own+sens+open? dept+sens+open? -
attachment    read    -            -              -         grid+sens     grid+flag     grid+flag  grid+flag     grid         own+sens       dept+sens       -
attachment    write   -            -              -         -             -             -          -             -            own+sens       dept+sens       -
attachment    remove  -            -              -         -             grid+flag     -          -             -            own+sens       dept+sens       -
advice        read    -            -              -         -             grid+flag     grid+flag  grid+flag     grid         -              -               -
position      read    -            -              -         -             grid          grid       grid          grid         self           -               grid
worker_count  read    -            -              -         grid          grid          grid       grid          grid         -              -               grid
track         read    -            -              grid?     -             grid?         grid?      -             -            self           -               -
own_shift     read    -            -              -         -             -             -          -             -            self           -               -
own_shift     write   -            -              -         -             -             -          -             -            self           -               -
worker        write   -            -              -         -             grid          grid       grid          grid         -              -               -
staff         read    grid         -              grid      grid          grid          grid       grid          grid         grid           grid            -
staff         write   grid         -              -         -             grid          grid       grid          -            -              -               -
contact       read    -            -              -         grid          grid          grid       grid          grid         grid           -               -
contact       reveal  -            -              -         -             grid?         grid?      grid?         grid?        grid?          -               -
handover      read    -            -              -         grid          grid          grid       -             -            -              -               -
handover      write   -            -              -         -             grid          grid       -             -            -              -               -
figures       read    -            -              grid+sens grid+sens     grid+flag     grid+flag  grid+flag     grid         -              dept+sens       grid+sens
bulletin      read    -            -              -         grid          grid          grid       grid          grid         -              -               -
bulletin      write   -            -              -         grid          grid          grid       grid          -            -              -               -
hotspots      read    -            -              -         grid+sens     grid+flag     grid+flag  grid+flag     grid         -              dept+sens       -
events        read    -            -              -         grid+sens     grid+flag     grid+flag  grid+flag     grid         own+sens       dept+sens       grid+sens
export_rows   read    -            -              -         -             grid+flag?    grid+flag? grid+flag?    -            -              dept+sens?      -
export_counts read    -            -              -         grid?         grid?         grid?      grid?         -            -              dept?           -
layer_grids   read    -            -              -         grid          grid          grid       grid          grid         grid           grid            grid
layer_roads   read    -            -              -         grid          grid          grid       grid          grid         grid           grid            grid
layer_addresses read  -            -              -         grid          grid          grid       grid          grid         grid           grid            -
layer_incidents read  -            -              -         grid+sens     grid+flag     grid+flag  grid+flag     grid         -              -               -
layer_cameras read    -            -              -         grid          grid          grid       grid          grid         grid           -               grid
base_map      read    -            -              -         grid          grid          grid       grid          grid         grid           grid            grid
named_layer   read    -            -              -         grid          grid          grid       grid          grid         grid           -               grid
selection     read    -            -              -         grid          grid          grid       grid          grid         -              -               -
call          read    -            -              -         -             grid          grid       grid          grid         self           -               -
call          write   -            -              -         -             grid          grid       grid          grid         -              -               -
call_answer   write   -            -              -         -             -             -          -             -            self           -               -
setting_layer write grid          -              -         -             -             -          -             -            -              -               -
setting_layer read  grid          grid           grid      grid          grid          grid       grid          grid         grid           grid            grid
setting_clock write all            -              -         -             -             -          -             -            -              -               -
setting_clock read  grid          grid           grid      grid          grid          grid       grid          grid         grid           grid            grid
setting_step  write all            -              -         -             -             -          -             -            -              -               -
setting_step  read  grid          grid           grid      grid          grid          grid       grid          grid         grid           grid            grid
setting_rule  write all            -              -         -             -             -          -             -            -              -               -
setting_rule  read  grid          grid           grid      grid          grid          grid       grid          grid         grid           grid            grid
camera_link   reveal -            -              -         -             grid?         grid?      grid?         -            -              -               -
account       read    all          all            all       -             -             -          -             -            -              -               -
account       write   all          -              -         -             -             -          grid          -            -              -               -
grant         write   -            all            -         -             -             -          grid          -            -              -               -
grant         approve all          all            -         -             -             -          -             -            -              -               -
token         read    -            all            all       -             -             -          -             -            -              -               -
token         write   -            all            -         -             -             -          -             -            -              -               -
audit         read    self         self           all       -             -             -          -             -            -              -               -
status        read    all          all            all       grid          grid          grid       grid          grid         grid           grid            grid
`

// views is how much of an incident a role is shown.
var views = map[Role]View{
	Auditor: SharedView, CountyLeader: CaseView, HallOperator: CaseView, Dispatcher: CaseView, TownOperator: CaseView,
	VillageHead: CaseView, GridWorker: CaseView, DeptHandler: CaseView, Wall: SharedView,
}

// rule is one cell of the policy.
type rule struct {
	reach     Reach
	sensitive sensitivity
	openOnly  bool
	reason    bool
}

type sensitivity uint8

const (
	never sensitivity = iota
	byFlag
	always
)

type subject struct {
	r Resource
	a Action
}

// policy is the table, read once.
var policy = mustParse(table)

// policyVersion changes whenever what a role may see changes, so that no client
// or cache goes on under the old rule.
var policyVersion = func() uint64 {
	h := fnv.New64a()
	fmt.Fprint(h, table, views) // fmt prints a map by its keys' order
	return h.Sum64()
}()

func mustParse(text string) map[subject][]rule {
	p, err := parsePolicy(text)
	if err != nil {
		panic(err)
	}
	return p
}

// parsePolicy reads a table; its rules are in the order of Roles.
func parsePolicy(text string) (map[subject][]rule, error) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	head := strings.Fields(lines[0])
	order := make([]int, len(Roles))
	for i, r := range Roles {
		if order[i] = slices.Index(head, string(r)); order[i] < 2 {
			return nil, fmt.Errorf("auth: the policy has no column %s", r)
		}
	}
	p := map[subject][]rule{}
	for _, line := range lines[1:] {
		cells := strings.Fields(line)
		if len(cells) != len(head) {
			return nil, fmt.Errorf("auth: the policy's row %q has %d cells, not %d", line, len(cells), len(head))
		}
		s := subject{Resource(cells[0]), Action(cells[1])}
		if p[s] != nil {
			return nil, fmt.Errorf("auth: the policy has two rows %s %s", s.a, s.r)
		}
		rules := make([]rule, len(Roles))
		for i, c := range order {
			var err error
			if rules[i], err = parseCell(cells[c]); err != nil {
				return nil, fmt.Errorf("auth: policy, %s %s: %w", s.a, s.r, err)
			}
		}
		p[s] = rules
	}
	return p, nil
}

var reaches = map[string]Reach{"-": Nothing, "grid": OwnGrids, "own": OwnWork, "dept": OwnDept, "self": Self, "all": Everything}

func parseCell(cell string) (r rule, err error) {
	cell, r.reason = strings.CutSuffix(cell, "?")
	parts := strings.Split(cell, "+")
	reach, ok := reaches[parts[0]]
	if !ok {
		return r, fmt.Errorf("unknown cell %q", cell)
	}
	r.reach = reach
	for _, p := range parts[1:] {
		switch p {
		case "flag":
			r.sensitive = byFlag
		case "sens":
			r.sensitive = always
		case "open":
			r.openOnly = true
		default:
			return r, fmt.Errorf("unknown cell %q", cell)
		}
	}
	return r, nil
}

var (
	// ErrNobody refuses whoever has not signed in.
	ErrNobody = errors.New("nobody is signed in")
	// ErrForbidden refuses a role.
	ErrForbidden = errors.New("not allowed for this role")
	// ErrLocked refuses what a locked desk may not do.
	ErrLocked = errors.New("the desk is locked: open it with the PIN")
)

// Decision is what the policy lets an actor do: to what, shown how.
type Decision struct {
	Scope  Scope
	View   View
	Reach  Reach
	Reason bool // a reason has to be given, and is audited
}

// personsOnly is what a token made over the web may not do, whatever its role, and
// it sees no sensitive category: who makes tokens would read by them what no
// administrator reads.
var personsOnly = []subject{{Reporter, Reveal}, {Contact, Reveal}, {RowExport, Read}, {Track, Read}, {CameraLink, Reveal}}

// Decide answers whether the actor may do action with resource, and to which of
// them: the Scope. Errors: ErrNobody, ErrForbidden, ErrLocked. It allocates
// nothing and takes no lock.
func Decide(a Actor, action Action, resource Resource) (Decision, error) {
	if a.system != "" {
		return Decision{Scope: Scope{all: true, why: a.system}, View: CaseView, Reach: Everything}, nil
	}
	if a.ID == "" {
		return Decision{}, ErrNobody
	}
	rules, known := policy[subject{resource, action}]
	if !known || a.role < 0 {
		return Decision{}, ErrForbidden
	}
	r := rules[a.role]
	if r.reach == Nothing || a.layers != nil && strings.HasPrefix(string(resource), "layer_") && !slices.Contains(a.layers, resource) {
		return Decision{}, ErrForbidden
	}
	if a.machine && slices.Contains(personsOnly, subject{resource, action}) {
		return Decision{}, ErrForbidden
	}
	if a.Locked && (action != Read || r.reason || resource == Reporter || r.reach == Everything) {
		return Decision{}, ErrLocked
	}
	return Decision{Scope: a.scope(r), View: a.view, Reach: r.reach, Reason: r.reason}, nil
}

// scope is the actor's reach under a rule, as a set of incidents and grids.
func (a *Actor) scope(r rule) Scope {
	s := Scope{intervals: a.grids, openOnly: r.openOnly, sensitive: !a.machine && (r.sensitive == always || r.sensitive == byFlag && a.flag)}
	switch r.reach {
	case OwnWork:
		s.intervals, s.only, s.worker = a.county, workOf, a.Worker
	case OwnDept:
		s.only, s.department = deptOf, a.department
	case Self:
		s.intervals, s.only, s.worker = a.county, workOf, a.Worker
	case Everything:
		s.intervals = nil // nothing of a place is read through it
	}
	return s
}
