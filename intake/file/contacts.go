// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// contactFields are the fields of a contact that a map may fill, each with the names
// that columns have for it, which are taken without a map.
var contactFields = map[string][]string{
	"grid":        {"grid", "grid_code", "网格编码", "网格代码", "所属网格编码", "网格编号", "网格"},
	"role":        {"role", "角色", "职务", "岗位", "类型"},
	"building":    {"building", "楼栋", "楼栋号", "楼号", "楼宇"},
	"unit":        {"unit", "单元", "单元号"},
	"name":        {"name", "姓名", "单元长", "楼栋长"},
	"phone":       {"phone", "电话", "手机", "手机号", "手机号码", "联系电话", "联系方式"},
	"external_id": {"external_id", "编号", "序号"},
}

// contactRoles are the roles below the grid, by what they are called.
var contactRoles = map[string]string{
	"unit_head": "unit_head", "单元长": "unit_head", "building_head": "building_head", "楼栋长": "building_head", "楼长": "building_head",
}

// Contact is one row of a file of contacts, checked for form only.
type Contact struct {
	Row            int64
	Grid           string // code
	Role           string // unit_head or building_head
	Building, Unit string
	ExternalID     string // tells two of one place apart
	Name, Phone    string // personal
}

// ContactMap says which columns of a file are which fields of a contact.
type ContactMap struct{ m Map }

// ParseContactMap reads a column map for contacts: one JSON object in the form of
// ParseMap, with the fields of docs/PEOPLE.md.
func ParseContactMap(r io.Reader) (ContactMap, error) {
	var f personMapFile
	if err := readMap(r, &f); err != nil {
		return ContactMap{}, err
	}
	return f.contacts()
}

// GuessContactMap takes columns for fields by their own names.
func GuessContactMap(header []string) (ContactMap, error) {
	m, err := personMapFile{Fields: guessFields(contactFields, header)}.contacts()
	if err != nil {
		return ContactMap{}, fmt.Errorf("%w; the file has the columns %q: name them in a column map (--map, see docs/PEOPLE.md)", err, header)
	}
	return m, nil
}

func (f personMapFile) contacts() (ContactMap, error) {
	if err := f.check(contactFields); err != nil {
		return ContactMap{}, err
	}
	for _, needed := range []struct{ field, label string }{{"grid", "网格编码"}, {"role", "角色"}, {"name", "姓名"}} {
		if _, ok := f.Fields[needed.field]; !ok {
			return ContactMap{}, fmt.Errorf("no column for %s (%s)", needed.field, needed.label)
		}
	}
	return ContactMap{Map{fields: f.Fields, withoutPlace: "keep", empty: f.Empty}}, nil
}

// ContactMapper applies a ContactMap to rows of one file. It is not safe for
// concurrent use.
type ContactMapper struct{ p *PersonMapper }

// Bind finds the map's columns in the header of a file. One with a column of identity
// numbers is refused whole: none of a contact is held.
func (m ContactMap) Bind(header []string) (*ContactMapper, error) {
	p, err := PersonMap(m).Bind(header)
	if err != nil {
		return nil, err
	}
	return &ContactMapper{p}, nil
}

// Masked is row as it may be shown and kept outside the record: see
// PersonMapper.Masked.
func (m *ContactMapper) Masked(row Row) Row { return m.p.Masked(row) }

// Apply makes a Contact of row. The error is always a *RowError with every reason
// found; no reason repeats what is personal.
func (m *ContactMapper) Apply(row Row) (Contact, error) {
	if row.Fault != "" {
		return Contact{Row: row.N}, &RowError{Row: row.N, Line: row.Line, Reasons: []string{row.Fault}}
	}
	mp := m.p.mp
	mp.reasons = nil
	c := Contact{
		Row: row.N, Grid: mp.required(row, "grid", 64), Building: mp.bounded(row, "building", 100), Unit: mp.bounded(row, "unit", 100),
		ExternalID: mp.bounded(row, "external_id", 64), Name: mp.required(row, "name", 40), Phone: mp.bounded(row, "phone", 24),
	}
	role, ok := contactRoles[mp.required(row, "role", 40)]
	if c.Role = role; !ok {
		mp.fault("role", "不是 单元长、楼栋长（unit_head, building_head）")
	}
	if c.Building == "" && c.Unit == "" {
		mp.fault("building", "和 unit 都为空：要说明是哪栋楼或哪个单元")
	}
	if c.Phone != "" && !phoneForm.MatchString(c.Phone) {
		mp.fault("phone", "不是电话号码（电子表格里应为文本，不是科学记数）")
	}
	for _, f := range []struct{ name, text string }{
		{"grid", c.Grid},
		{"building", c.Building},
		{"unit", c.Unit},
		{"external_id", c.ExternalID},
		{"name", c.Name},
		{"phone", c.Phone},
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
		return Contact{Row: row.N}, &RowError{Row: row.N, Line: row.Line, Reasons: mp.reasons}
	}
	return c, nil
}

// SkillRow is one row of a catalogue of skills.
type SkillRow struct{ Code, Name string }

// ReadSkills reads a table with the columns code (编码) and name (名称) as a catalogue of
// skills, checked: every code and every name once.
func ReadSkills(r *Reader) ([]SkillRow, error) {
	at := guessFields(map[string][]string{"code": {"code", "编码", "技能编码"}, "name": {"name", "名称", "技能", "技能名称"}}, r.Header())
	if len(at) < 2 {
		return nil, fmt.Errorf("a catalogue of skills has the columns code (编码) and name (名称); this file has %q", r.Header())
	}
	mp, err := Map{fields: at, withoutPlace: "keep"}.Bind(r.Header())
	if err != nil {
		return nil, err
	}
	var out []SkillRow
	seen := map[string]int64{}
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		mp.reasons = nil
		var s SkillRow
		if row.Fault != "" { // its cells may not be those of the columns
			mp.reasons = []string{row.Fault}
		} else {
			s = SkillRow{mp.required(row, "code", 40), mp.required(row, "name", 40)}
		}
		switch {
		case len(mp.reasons) > 0:
		case seen["code "+s.Code] > 0 || seen["name "+s.Name] > 0:
			mp.fault("code", fmt.Sprintf("或 name 与第 %d 行相同", max(seen["code "+s.Code], seen["name "+s.Name])))
		case strings.ContainsAny(s.Code+s.Name, "、,;；|\x00"):
			mp.fault("code", "或 name 含有分隔符（、 , ; |）")
		}
		if len(mp.reasons) > 0 {
			return nil, fmt.Errorf("line %d: %s: nothing was stored; mend the file and run the command again", row.Line, strings.Join(mp.reasons, "；"))
		}
		seen["code "+s.Code], seen["name "+s.Name] = row.Line, row.Line
		out = append(out, s)
	}
	if len(out) == 0 {
		return nil, errors.New("the file has no rows")
	}
	return out, nil
}
