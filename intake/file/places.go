// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"onemap/geo"
)

// placeFields are the fields of a place that a map may fill, each with the names
// that columns have for it, which are taken without a map.
var placeFields = map[string][]string{
	"external_id": {"external_id", "ext_id", "id", "编号", "编码", "标识码", "地址编码", "ID"},
	"name":        {"name", "名称", "地名", "标准名称", "单位名称", "机构名称"},
	"address":     {"address", "标准地址", "地址", "详细地址", "addr"},
	"aliases":     {"aliases", "alias", "别名", "又名", "简称"},
	"class":       {"class", "type", "类型", "类别", "分类"},
	"admin_code":  {"admin_code", "adcode", "区划代码", "行政区划代码"},
	"lon":         {LonColumn, "lon", "lng", "longitude", "经度"},
	"lat":         {LatColumn, "lat", "latitude", "纬度"},
}

// PlaceRecord is one row as a place, checked for form only.
type PlaceRecord struct {
	Row        int64
	ExternalID string
	Name       string
	Aliases    []string
	Address    string
	Class      string
	AdminCode  string
	Place      geo.Raw
}

// PlaceMap says which columns of a file are which fields of a place.
type PlaceMap struct{ m Map }

// placeMapFile is the JSON form of a PlaceMap.
type placeMapFile struct {
	About  string           `json:"about"`
	CRS    string           `json:"crs"`
	Empty  []string         `json:"empty"`
	Fields map[string]field `json:"fields"`
}

// ParsePlaceMap reads a column map for places: one JSON object in the form of
// ParseMap, with the fields of a place. crs is what the command names; it and the
// map's must agree, and one of them must be there.
func ParsePlaceMap(r io.Reader, crs string) (PlaceMap, error) {
	var f placeMapFile
	if err := readMap(r, &f); err != nil {
		return PlaceMap{}, err
	}
	if f.CRS != "" && crs != "" && f.CRS != crs {
		return PlaceMap{}, fmt.Errorf("column map: its crs is %s and --crs says %s", f.CRS, crs)
	}
	if crs == "" {
		crs = f.CRS
	}
	return f.make(crs)
}

// GuessPlaceMap takes columns for fields by their own names. The names taken are
// those of docs/PLACES.md.
func GuessPlaceMap(header []string, crs string) (PlaceMap, error) {
	m, err := placeMapFile{Fields: guessFields(placeFields, header)}.make(crs)
	if err != nil {
		return PlaceMap{}, fmt.Errorf("%w; the file has the columns %q: name them in a column map (--map, see docs/PLACES.md)", err, header)
	}
	return m, nil
}

// guessFields takes columns for fields by the names that columns of each have.
func guessFields(known map[string][]string, header []string) map[string]field {
	fields := map[string]field{}
	for name, columns := range known {
		if i := slices.IndexFunc(columns, func(c string) bool { return slices.Contains(header, c) }); i >= 0 {
			fields[name] = field{Column: columns[i]}
		}
	}
	return fields
}

// make checks f.
func (f placeMapFile) make(crs string) (PlaceMap, error) {
	datum, err := geo.ParseDatum(crs)
	if crs == "" {
		err = fmt.Errorf("say with --crs what the coordinates are: %s", geo.DatumNames)
	}
	if err != nil {
		return PlaceMap{}, err
	}
	for _, name := range sortedKeys(f.Fields) {
		if placeFields[name] == nil {
			return PlaceMap{}, fmt.Errorf("column map: unknown field %q (one of external_id, name, address, aliases, class, admin_code, lon, lat)", name)
		}
		if err := f.Fields[name].check(name); err != nil {
			return PlaceMap{}, fmt.Errorf("column map: field %s: %w", name, err)
		}
	}
	for _, name := range []string{"external_id", "lon", "lat"} {
		if _, ok := f.Fields[name]; !ok {
			hint := ""
			if name == "external_id" {
				hint = `, by which a second import knows the place again; without numbers in the file a map may say {"template": "{name} {address}"}`
			}
			return PlaceMap{}, fmt.Errorf("no column for %s%s", name, hint)
		}
	}
	_, name := f.Fields["name"]
	_, address := f.Fields["address"]
	if !name && !address {
		return PlaceMap{}, errors.New("no column for name nor for address")
	}
	return PlaceMap{Map{fields: f.Fields, datum: datum, withoutPlace: "reject", empty: f.Empty}}, nil
}

// Datum is what the map says the coordinates are.
func (m PlaceMap) Datum() geo.Datum { return m.m.datum }

// PlaceMapper applies a PlaceMap to rows of one file. It is not safe for concurrent
// use.
type PlaceMapper struct{ mp *Mapper }

// Bind finds the map's columns in the header of a file. A file with a column about
// persons is refused whole: the error is a *PersonColumnsError.
func (m PlaceMap) Bind(header []string) (*PlaceMapper, error) {
	if about := PersonColumns(header); len(about) > 0 {
		return nil, &PersonColumnsError{about}
	}
	mp, err := m.m.Bind(header)
	if err != nil {
		return nil, err
	}
	return &PlaceMapper{mp}, nil
}

// PersonColumnsError refuses a file of places that holds something of persons.
type PersonColumnsError struct{ Columns []string }

func (e *PersonColumnsError) Error() string {
	return fmt.Sprintf("the file has columns about persons: %s; places and organisations only are taken: take these columns out of the file and run the command again",
		strings.Join(e.Columns, ", "))
}

// personWords are found in the names of columns that are about persons.
var personWords = []string{
	"姓名", "联系人", "联系方式", "电话", "手机", "座机", "身份证", "证件", "护照", "户主", "户口", "户籍", "法人代表", "法定代表", "负责人", "责任人", "经办人", "业主",
	"房主", "住户", "租客", "村民", "居民姓", "家庭", "性别", "出生", "年龄", "民族", "籍贯", "婚姻", "学历", "政治面貌", "微信", "邮箱", "人员", "监护", "银行卡", "工资", "网格员", "网格长",
}

// personTokens are whole words of such names in Latin letters.
var personTokens = []string{
	"phone", "telephone", "tel", "mobile", "cellphone", "contact", "person", "idcard", "idno", "ssn", "passport", "owner", "email", "mail", "wechat", "qq", "gender", "sex",
	"birthday", "birthdate", "age", "firstname", "lastname", "surname", "fullname", "resident", "householder", "xingming", "dianhua", "shouji", "shenfenzheng", "sfzh", "lxr", "lxdh", "xm",
}

// PersonColumns are the columns whose names say that they are about persons.
func PersonColumns(header []string) (about []string) {
	for _, h := range header {
		has := slices.ContainsFunc(personWords, func(w string) bool { return strings.Contains(h, w) })
		words := strings.FieldsFunc(apart(h), func(r rune) bool { return !unicode.IsLetter(r) })
		joined := strings.Join(words, "")
		for _, w := range append(words, joined) {
			has = has || slices.Contains(personTokens, strings.ToLower(w))
		}
		if has {
			about = append(about, h)
		}
	}
	return about
}

// apart puts a space before the capitals of contactPhone.
func apart(s string) string {
	var b strings.Builder
	last := rune(0)
	for _, r := range s {
		if unicode.IsUpper(r) && unicode.IsLower(last) {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
		last = r
	}
	return b.String()
}

// Numbers of persons that hide inside text: a mobile number, an identity number.
var (
	mobile   = regexp.MustCompile(`(^|[^0-9])1[3-9][0-9]{9}($|[^0-9])`)
	identity = regexp.MustCompile(`[1-9][0-9]{5}(19|20)[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9Xx]`)
)

// hasIdentity reports whether text holds an identity number with its right check
// digit (GB 11643): codes of addresses may have 18 digits too.
func hasIdentity(text string) bool {
	for _, n := range identity.FindAllString(text, -1) {
		sum := 0
		for i, weight := range []int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2} {
			sum += weight * int(n[i]-'0')
		}
		if "10X98765432"[sum%11] == strings.ToUpper(n)[17] {
			return true
		}
	}
	return false
}

// maxAliases is how many other names a place may have.
const maxAliases = 20

// Apply makes a PlaceRecord of row. The error is always a *RowError with every
// reason found.
func (m *PlaceMapper) Apply(row Row) (PlaceRecord, error) {
	if row.Fault != "" {
		return PlaceRecord{}, &RowError{Row: row.N, Line: row.Line, Reasons: []string{row.Fault}}
	}
	mp := m.mp
	mp.reasons = nil
	r := PlaceRecord{
		Row: row.N, ExternalID: mp.required(row, "external_id", 128),
		Name: mp.bounded(row, "name", 200), Address: mp.bounded(row, "address", 300), Class: mp.bounded(row, "class", 200),
		AdminCode: mp.bounded(row, "admin_code", 64),
	}
	for _, a := range strings.FieldsFunc(mp.bounded(row, "aliases", 300), func(c rune) bool { return strings.ContainsRune("、;；|,，", c) }) {
		if a = strings.TrimSpace(a); a != "" {
			r.Aliases = append(r.Aliases, a)
		}
	}
	if len(r.Aliases) > maxAliases {
		mp.fault("aliases", fmt.Sprintf("超过 %d 个", maxAliases))
	}
	if p := mp.place(row); p != nil {
		r.Place = *p
	}
	if r.Name == "" && r.Address == "" && len(mp.reasons) == 0 {
		mp.fault("name", "和 address 都为空")
	}
	for _, f := range []struct{ name, text string }{
		{"name", r.Name}, {"address", r.Address}, {"aliases", strings.Join(r.Aliases, " ")}, {"class", r.Class}, {"external_id", r.ExternalID}, {"admin_code", r.AdminCode},
	} {
		if strings.ContainsRune(f.text, 0) {
			mp.fault(f.name, "含有空字符 (NUL)") // the database holds no such text
		}
		if f.name == "admin_code" {
			continue
		}
		if hasIdentity(f.text) || f.name != "external_id" && mobile.MatchString(f.text) {
			mp.fault(f.name, "像是含有手机号码或身份证号")
		}
	}
	if len(mp.reasons) > 0 {
		return PlaceRecord{}, &RowError{Row: row.N, Line: row.Line, Reasons: mp.reasons}
	}
	return r, nil
}

// bounded is text of at most so many characters; it may be empty.
func (mp *Mapper) bounded(row Row, name string, most int) string {
	v := mp.text(row, name)
	if len([]rune(v)) > most {
		mp.fault(name, fmt.Sprintf("超过 %d 个字", most))
		return ""
	}
	return v
}
