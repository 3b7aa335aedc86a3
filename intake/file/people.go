// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"onemap/auth"
	"onemap/people"
)

// personFields are the fields of a worker that a map may fill, each with the names
// that columns have for it, which are taken without a map.
var personFields = map[string][]string{
	"badge":      {"badge", "工号", "网格员编号", "人员编号", "编号", "external_id"},
	"name":       {"name", "姓名", "网格员姓名", "网格员"},
	"phone":      {"phone", "电话", "手机", "手机号", "手机号码", "联系电话", "联系方式"},
	"skills":     {"skills", "技能", "专长"},
	"grids":      {"grids", "grid", "grid_code", "网格编码", "网格代码", "责任网格编码", "所属网格编码", "网格编号", "网格"},
	"role":       {"role", "角色", "职务", "岗位"},
	"valid_from": {"valid_from", "起始日期", "开始日期", "任职日期", "上岗日期"},
	"valid_to":   {"valid_to", "结束日期", "截止日期", "离任日期", "离岗日期"},
	"department": {"department", "部门", "所属部门", "单位", "所属单位"},
	"device":     {"device", "unique_id", "终端", "终端编号", "终端号", "设备编号"},
	"hours":      {"hours", "值班", "值班时间", "在岗时间", "班次"},
}

// gridRoles are the roles a worker may have in a grid, by what they are called.
var gridRoles = map[string]string{
	"": "worker", "worker": "worker", "网格员": "worker", "专职网格员": "worker", "兼职网格员": "worker",
	"deputy": "deputy", "副网格长": "deputy", "head": "head", "网格长": "head",
}

// Person is one row of a roster, checked for form only. What the row does not say is
// empty: it stays as it is stored.
type Person struct {
	Row         int64
	Badge       string
	Name, Phone string // personal
	Skills      []string
	Grids       []string // codes
	Role        string   // worker, deputy or head, of every one of Grids
	From, To    string   // days as yyyy-MM-dd; the worker serves Grids from From, and no longer on To
	Department  string
	Device      string // as it names itself
	Rota        people.Rota
}

// PersonMap says which columns of a roster are which fields of a worker.
type PersonMap struct{ m Map }

// personMapFile is the JSON form of a PersonMap.
type personMapFile struct {
	About  string           `json:"about"`
	Empty  []string         `json:"empty"`
	Fields map[string]field `json:"fields"`
}

// ParsePersonMap reads a column map for a roster: one JSON object in the form of
// ParseMap, with the fields of docs/PEOPLE.md.
func ParsePersonMap(r io.Reader) (PersonMap, error) {
	var f personMapFile
	if err := readMap(r, &f); err != nil {
		return PersonMap{}, err
	}
	return f.make()
}

// GuessPersonMap takes columns for fields by their own names.
func GuessPersonMap(header []string) (PersonMap, error) {
	m, err := personMapFile{Fields: guessFields(personFields, header)}.make()
	if err != nil {
		return PersonMap{}, fmt.Errorf("%w; the file has the columns %q: name them in a column map (--map, see docs/PEOPLE.md)", err, header)
	}
	return m, nil
}

// check refuses fields that are not among known, and those that cannot be filled so.
func (f personMapFile) check(known map[string][]string) error {
	for _, name := range sortedKeys(f.Fields) {
		if known[name] == nil {
			return fmt.Errorf("column map: unknown field %q (one of %s)", name, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
		if err := f.Fields[name].check(name); err != nil {
			return fmt.Errorf("column map: field %s: %w", name, err)
		}
	}
	return nil
}

func (f personMapFile) make() (PersonMap, error) {
	if err := f.check(personFields); err != nil {
		return PersonMap{}, err
	}
	if _, ok := f.Fields["badge"]; !ok {
		return PersonMap{}, errors.New("no column for badge (工号), by which a worker is known again")
	}
	return PersonMap{Map{fields: f.Fields, withoutPlace: "keep", empty: f.Empty}}, nil
}

// Fields says which column each field is taken from, for people: "badge from 工号".
func (m PersonMap) Fields() (out []string) {
	for _, name := range sortedKeys(m.m.fields) {
		f := m.m.fields[name]
		from := f.Column
		if from == "" {
			from = "a text" // a template or a constant may hold anything
		}
		out = append(out, name+" from "+from)
	}
	return out
}

// identityWords are found in the names of columns that hold identity numbers.
var identityWords = []string{"身份证", "证件", "公民身份", "护照"}

// identityTokens are words of such names in Latin letters, or two or three that
// follow each other.
var identityTokens = []string{
	"idcard", "identitycard", "identityno", "identitynumber", "idnumber", "idno", "idnum", "sfz", "sfzh", "sfzhm", "shenfenzheng", "shenfenzhenghao", "passport", "passportno", "ssn",
}

// IdentityColumns are the columns whose names say that they hold identity numbers.
func IdentityColumns(header []string) (out []string) {
	for _, h := range header {
		has := slices.ContainsFunc(identityWords, func(w string) bool { return strings.Contains(h, w) })
		words := strings.FieldsFunc(strings.ToLower(apart(h)), func(r rune) bool { return !unicode.IsLetter(r) })
		for i := range words {
			for n := 1; n <= 3 && i+n <= len(words); n++ {
				has = has || slices.Contains(identityTokens, strings.Join(words[i:i+n], ""))
			}
		}
		if has {
			out = append(out, h)
		}
	}
	return out
}

// PersonMapper applies a PersonMap to rows of one roster. It is not safe for
// concurrent use.
type PersonMapper struct {
	mp     *Mapper
	header []string
	about  []string // columns about persons, whether they are taken or not
}

// Bind finds the map's columns in the header of a roster. One with a column of
// identity numbers is refused whole: none of a worker is held.
func (m PersonMap) Bind(header []string) (*PersonMapper, error) {
	if ids := IdentityColumns(header); len(ids) > 0 {
		return nil, fmt.Errorf("the file has columns of identity numbers: %s; none of a worker is kept: take these columns out of the file and run the command again", strings.Join(ids, ", "))
	}
	mp, err := m.m.Bind(header)
	if err != nil {
		return nil, err
	}
	return &PersonMapper{mp, header, PersonColumns(header)}, nil
}

// phoneForm is a telephone number as people write one.
var phoneForm = regexp.MustCompile(`^\+?[0-9][0-9 ()（）-]{4,22}$`)

// Limits of a roster's lists.
const (
	maxSkills = 20
	maxServed = 50 // grids of one row
)

// Apply makes a Person of row. The error is always a *RowError with every reason
// found; no reason repeats what is personal. Of a refused row the Person has Row and
// Badge alone, the badge empty where none can be read.
func (m *PersonMapper) Apply(row Row) (Person, error) {
	if row.Fault != "" {
		return Person{Row: row.N}, &RowError{Row: row.N, Line: row.Line, Reasons: []string{row.Fault}}
	}
	mp := m.mp
	mp.reasons = nil
	p := Person{
		Row: row.N, Badge: mp.required(row, "badge", 40), Name: mp.bounded(row, "name", 40), Phone: mp.bounded(row, "phone", 24),
		Skills: mp.list(row, "skills", maxSkills, 40), Grids: mp.list(row, "grids", maxServed, 64),
		From: mp.day(row, "valid_from"), To: mp.day(row, "valid_to"),
		Department: mp.bounded(row, "department", 60), Device: mp.bounded(row, "device", 128),
	}
	role, ok := gridRoles[mp.bounded(row, "role", 40)]
	if p.Role = role; !ok {
		mp.fault("role", "不是 网格员、副网格长、网格长（worker, deputy, head）")
	}
	if p.From != "" && p.To != "" && p.To <= p.From {
		mp.fault("valid_to", "不晚于 valid_from")
	}
	if len(p.Grids) == 0 && (p.From != "" || p.To != "") {
		mp.fault("grids", "为空，却有起止日期")
	}
	if p.Phone != "" && !phoneForm.MatchString(p.Phone) {
		mp.fault("phone", "不是电话号码（电子表格里应为文本，不是科学记数）")
	}
	if text := mp.bounded(row, "hours", 400); text != "" {
		var err error
		if p.Rota, err = people.ParseRota(text); err != nil {
			mp.fault("hours", anyNumber.ReplaceAllStringFunc(err.Error(), auth.MaskID))
		}
	}
	for _, f := range []struct{ name, text string }{
		{"badge", p.Badge},
		{"name", p.Name},
		{"phone", p.Phone},
		{"skills", strings.Join(p.Skills, " ")},
		{"grids", strings.Join(p.Grids, " ")},
		{"department", p.Department},
		{"device", p.Device},
	} {
		switch {
		case strings.ContainsRune(f.text, 0):
			mp.fault(f.name, "含有空字符 (NUL)")
		case hasIdentity(f.text):
			mp.fault(f.name, "像是含有身份证号")
		case mobile.MatchString(f.text) && f.name != "phone":
			mp.fault(f.name, "像是含有手机号码") // what is not sealed names nobody
		}
	}
	if len(mp.reasons) > 0 {
		refused := Person{Row: row.N}
		if !slices.ContainsFunc(mp.reasons, func(why string) bool { return strings.HasPrefix(why, "badge ") }) {
			refused.Badge = p.Badge
		}
		return refused, &RowError{Row: row.N, Line: row.Line, Reasons: mp.reasons}
	}
	return p, nil
}

// list is a cell of several words, each once.
func (mp *Mapper) list(row Row, name string, most, long int) (out []string) {
	for _, w := range strings.FieldsFunc(mp.text(row, name), func(c rune) bool { return strings.ContainsRune("、;；|,，\n", c) }) {
		if w = strings.TrimSpace(w); w == "" || slices.Contains(out, w) {
			continue
		}
		if len([]rune(w)) > long {
			mp.fault(name, fmt.Sprintf("有一项超过 %d 个字", long))
			return nil
		}
		out = append(out, w)
	}
	if len(out) > most {
		mp.fault(name, fmt.Sprintf("超过 %d 个", most))
		return nil
	}
	return out
}

// day is a cell with a date, as yyyy-MM-dd; "" for none.
func (mp *Mapper) day(row Row, name string) string {
	v := mp.text(row, name)
	if v == "" {
		return ""
	}
	for _, layout := range []string{"2006-1-2", "2006/1/2", "2006.1.2", "2006年1月2日", "20060102", "2006-1-2 15:04:05", "2006/1/2 15:04:05"} {
		if at, err := time.Parse(layout, v); err == nil && at.Year() >= 1950 && at.Year() <= 2100 {
			return at.Format(time.DateOnly)
		}
	}
	mp.fault(name, "不是日期（例：2026-01-31）")
	return ""
}

// Masked is row as it may be shown and kept outside the record: names and telephone
// numbers masked, other columns about persons starred. Of a row that breaks the
// format nobody knows which cell is which: all are starred.
func (m *PersonMapper) Masked(row Row) Row {
	row.Cells = slices.Clone(row.Cells)
	for i, c := range row.Cells {
		column := ""
		if i < len(m.header) { // of a faulty row there may be more
			column = m.header[i]
		}
		switch {
		case c == "":
		case row.Fault != "":
			row.Cells[i] = "*"
		case m.takes("name", column):
			row.Cells[i] = auth.MaskName(c)
		case m.takes("phone", column):
			row.Cells[i] = auth.MaskPhone(c)
		case slices.Contains(m.about, column) && !m.taken(column):
			row.Cells[i] = "*"
		default:
			row.Cells[i] = anyNumber.ReplaceAllStringFunc(c, auth.MaskID)
		}
	}
	return row
}

// anyNumber is what may be a telephone or identity number inside a text, the longer
// one first.
var anyNumber = regexp.MustCompile(`[1-9][0-9]{14,16}[0-9Xx]|1[3-9][0-9]{9}`)

// takes reports whether the field is filled from this column.
func (m *PersonMapper) takes(name, column string) bool {
	f, ok := m.mp.m.fields[name]
	return ok && column != "" && (f.Column == column || strings.Contains(f.Template, "{"+column+"}"))
}

// taken reports whether a field that is not personal is filled from this column.
func (m *PersonMapper) taken(column string) bool {
	for name := range m.mp.m.fields {
		if m.takes(name, column) {
			return true
		}
	}
	return false
}
