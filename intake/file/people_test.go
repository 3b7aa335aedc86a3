// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file_test

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"onemap/intake/file"
)

func TestARosterIsReadByItsColumns(t *testing.T) {
	header := []string{"工号", "姓名", "手机", "网格编码", "职务", "起始日期", "值班时间", "家庭电话", "备注"}
	m, err := file.GuessPersonMap(header)
	if err != nil {
		t.Fatal(err)
	}
	mp, err := m.Bind(header)
	if err != nil {
		t.Fatal(err)
	}
	good := []string{"W1", "欧阳一", "138 0000 0001", "A1、A2；A1", "网格长", "2026年1月5日", "每天 08:00-18:00", "7620000", "见 13900000002"}
	p, err := mp.Apply(file.Row{N: 1, Cells: good})
	if err != nil || p.Badge != "W1" || p.Name != "欧阳一" || p.Phone != "138 0000 0001" || !slices.Equal(p.Grids, []string{"A1", "A2"}) || p.Role != "head" || p.From != "2026-01-05" || len(p.Rota) != 7 {
		t.Errorf("%+v %v", p, err)
	}
	if got := strings.Join(mp.Masked(file.Row{Cells: good}).Cells, "|"); got != "W1|欧**|138****0001|A1、A2；A1|网格长|2026年1月5日|每天 08:00-18:00|*|见 139******02" {
		t.Errorf("masked: %s", got)
	}
	if got := strings.Join(mp.Masked(file.Row{Cells: good, Fault: "坏"}).Cells, ""); strings.Trim(got, "*") != "" {
		t.Errorf("a row whose cells are nobody knows where: %s", got)
	}
	for i, c := range []struct{ cell, want string }{
		{"", "badge 为空"},
		{"张三13800000001", "name 像是含有手机号码"},
		{"1.38E+10", "phone 不是电话号码"},
		{"A,B," + strings.Repeat("x", 65), "grids 有一项超过 64 个字"},
		{"站长", "role 不是"},
		{"去年", "valid_from 不是日期"},
		{"有时", "hours “有时”不是"},
	} {
		bad := slices.Clone(good)
		bad[i] = c.cell
		_, err := mp.Apply(file.Row{N: 3, Cells: bad})
		var re *file.RowError
		if !errors.As(err, &re) || len(re.Reasons) == 0 || !strings.HasPrefix(re.Reasons[0], c.want) {
			t.Errorf("%s: %v, want %s", c.cell, err, c.want)
		}
	}
}

// FuzzRoster: reading a row ends, and neither what is shown of it nor a reason tells a
// mobile number or a name.
func FuzzRoster(f *testing.F) {
	header := []string{"badge", "name", "phone", "grids", "valid_from", "hours", "note"}
	f.Add("W1", "欧阳一", "13800000001", "A1,A2", "2026-01-05", "1-5 08:00-17:00", "11010519491231002X")
	f.Add("W2", "y", "", "", "13800000001", "13800000001", "130105199001011234")
	f.Add("W1", "x", "+86 138-0000-0001", "", "20260105", "", "138000000019")
	mobile := regexp.MustCompile(`1[3-9][0-9]{9}`)
	f.Fuzz(func(t *testing.T, badge, name, phone, grids, from, hours, note string) {
		m, err := file.GuessPersonMap(header)
		if err != nil {
			t.Fatal(err)
		}
		mp, err := m.Bind(header)
		if err != nil {
			t.Fatal(err)
		}
		row := file.Row{N: 1, Cells: []string{badge, name, phone, grids, from, hours, note}}
		shown := mp.Masked(row)
		for i, c := range shown.Cells {
			if mobile.MatchString(c) {
				t.Errorf("%s shows %q", header[i], c)
			}
		}
		if n := strings.TrimSpace(name); len([]rune(n)) > 1 && strings.Contains(shown.Cells[1], n) && !strings.Contains(n, "*") {
			t.Errorf("the name %q is shown as %q", name, shown.Cells[1])
		}
		p, err := mp.Apply(row)
		var re *file.RowError
		switch {
		case errors.As(err, &re):
			for _, why := range re.Reasons {
				if mobile.MatchString(why) {
					t.Errorf("a reason tells %q", why)
				}
				if strings.HasPrefix(why, "phone") && phone != "" && len(phone) > 6 && strings.Contains(why, phone) {
					t.Errorf("a reason tells %q", why)
				}
			}
		case err != nil:
			t.Error(err)
		case p.Badge == "" || mobile.MatchString(p.Badge) && len(p.Badge) == 11 || p.Role == "":
			t.Errorf("%+v", p)
		}
	})
}
