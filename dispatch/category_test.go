// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch_test

import (
	"reflect"
	"strings"
	"testing"

	"onemap/dispatch"
)

const header = "code,parent_code,name_zh,name_en,priority,ack_minutes,sla_value,sla_unit,handling_level,lead_dept_zh,display_precision,note\n"

const longHeader = "code,parent_code,name_zh,name_en,priority,ack_minutes,sla_value,sla_unit,handling_level,lead_dept_zh,display_precision,note,on_the_spot,evidence\n"

// TestWhatMayBeResolvedOnTheSpot: as the list says, and by the rule where it is silent.
func TestWhatMayBeResolvedOnTheSpot(t *testing.T) {
	for row, want := range map[string][2]bool{
		header + "01,,甲,A,P3,120,3,wd,V,民政,grid,\n":            {true, true},
		header + "01,,甲,A,P1,120,3,wd,V,民政,grid,\n":            {},
		header + "01,,甲,A,P3,120,3,wd,T,民政,grid,\n":            {},
		header + "01,,甲,A,P3,120,3,wd,V,民政,none,\n":            {},
		longHeader + "01,,甲,A,P1,120,3,wd,C,民政,none,,yes,no\n": {true, false},
		longHeader + "01,,甲,A,P3,120,3,wd,V,民政,grid,,no,yes\n": {false, true},
	} {
		cs, err := dispatch.ParseCategories(strings.NewReader(row))
		if err != nil || cs[0].OnTheSpot != want[0] || cs[0].Evidence != want[1] {
			t.Errorf("%s: %+v, %v", row, cs, err)
		}
	}
}

func TestDefaultCategoriesAreATreeOfTwoLevels(t *testing.T) {
	cs := dispatch.DefaultCategories()
	byCode := map[string]dispatch.Category{}
	tops := 0
	for _, c := range cs {
		byCode[c.Code] = c
		if c.Parent == "" {
			tops++
			continue
		}
		if p, ok := byCode[c.Parent]; !ok || p.Parent != "" {
			t.Errorf("%s: parent %q is not an earlier top category", c.Code, c.Parent)
		}
	}
	if tops != 11 || len(cs) != 77 {
		t.Errorf("%d rows, %d of them top, want 77 and 11", len(cs), tops)
	}
	want := dispatch.Category{
		Code: "0301", Parent: "03", NameZH: "消防通道占堵", NameEN: "Blocked fire lane", Priority: 2, AckMinutes: 30,
		SLAValue: 2, SLAUnit: "wh", HandlingLevel: 4, LeadDept: "消防救援", Precision: "exact",
		OnTheSpot: true, Evidence: true,
	}
	if got := byCode["0301"]; got != want {
		t.Errorf("0301 = %+v, want %+v", got, want)
	}
}

func TestParseCategoriesRefusesWhatItDoesNotKnow(t *testing.T) {
	top := "01,,甲,A,P3,120,3,wd,V,民政,grid,\n"
	for name, in := range map[string]string{
		"nothing":               "",
		"no row":                header,
		"other header":          "code,name\n",
		"code twice":            header + top + top,
		"parent unknown":        header + "0101,01,乙,B,P3,120,3,wd,V,民政,grid,\n",
		"parent not a top":      header + top + "0101,01,乙,B,P3,120,3,wd,V,民政,grid,\n" + "010101,0101,丙,C,P3,120,3,wd,V,民政,grid,\n",
		"own parent":            header + "01,01,甲,A,P3,120,3,wd,V,民政,grid,\n",
		"priority P5":           header + strings.Replace(top, "P3", "P5", 1),
		"priority lower case":   header + strings.Replace(top, "P3", "p3", 1),
		"ack zero":              header + strings.Replace(top, "120", "0", 1),
		"ack with a sign":       header + strings.Replace(top, "120", "+120", 1),
		"ack huge":              header + strings.Replace(top, "120", "99999999", 1),
		"limit with a zero":     header + strings.Replace(top, ",3,wd", ",03,wd", 1),
		"limit not a number":    header + strings.Replace(top, ",3,wd", ",NaN,wd", 1),
		"unit unknown":          header + strings.Replace(top, "wd", "days", 1),
		"level unknown":         header + strings.Replace(top, ",V,", ",X,", 1),
		"precision unknown":     header + strings.Replace(top, "grid", "fine", 1),
		"name missing":          header + strings.Replace(top, "甲", "", 1),
		"department missing":    header + strings.Replace(top, "民政", "", 1),
		"blank at an end":       header + strings.Replace(top, "民政", "民政 ", 1),
		"control character":     header + strings.Replace(top, "甲", "甲\a乙", 1),
		"code with a dash":      header + strings.Replace(top, "01,", "0-1,", 1),
		"code empty":            header + strings.Replace(top, "01,", ",", 1),
		"code of 17":            header + strings.Replace(top, "01,", "01234567890123456,", 1),
		"column missing":        header + "01,,甲,A,P3,120,3,wd,V,民政,grid\n",
		"GBK bytes":             header + strings.Replace(top, "甲", "\xbc\xd7", 1),
		"quote left open":       header + "\"01,,甲",
		"one good, one cut row": header + top + "02,",
		"neither yes nor no":    longHeader + strings.TrimSuffix(top, "\n") + ",yes,maybe\n",
		"on the spot missing":   longHeader + strings.TrimSuffix(top, "\n") + ",,no\n",
		"half of the new":       header[:len(header)-1] + ",on_the_spot\n" + strings.TrimSuffix(top, "\n") + ",yes\n",
	} {
		if got, err := dispatch.ParseCategories(strings.NewReader(in)); err == nil {
			t.Errorf("%s: taken as %+v", name, got)
		}
	}
}

func TestParseCategoriesTakesAByteOrderMark(t *testing.T) {
	in := "\ufeff" + header + "A1,,甲,A,P1,1,1,nh,C,民政,none,说明\n"
	got, err := dispatch.ParseCategories(strings.NewReader(in))
	want := []dispatch.Category{{
		Code: "A1", NameZH: "甲", NameEN: "A", Priority: 1, AckMinutes: 1, SLAValue: 1, SLAUnit: "nh",
		HandlingLevel: 1, LeadDept: "民政", Precision: "none", Note: "说明",
	}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// Whatever is taken keeps every promise that the database checks again.
func FuzzParseCategories(f *testing.F) {
	f.Add(header + "01,,甲,A,P3,120,3,wd,V,民政,grid,\n0101,01,乙,B,P1,5,1,nh,C,公安,exact,x\n")
	f.Add(header + "01,,\"甲\n乙\",A,P3,120,3,wd,V,民政,grid,\n")
	f.Add("\ufeff" + header)
	f.Add("\xff\xfe")
	f.Fuzz(func(t *testing.T, in string) {
		cs, err := dispatch.ParseCategories(strings.NewReader(in))
		if err != nil {
			if cs != nil {
				t.Fatalf("rows beside the error %v", err)
			}
			return
		}
		seen := map[string]bool{}
		for _, c := range cs {
			if seen[c.Code] || c.Code == "" || len(c.Code) > 16 || c.Parent != "" && !seen[c.Parent] {
				t.Fatalf("code %q, parent %q", c.Code, c.Parent)
			}
			seen[c.Code] = true
			if c.Priority < 1 || c.Priority > 4 || c.HandlingLevel < 1 || c.HandlingLevel > 4 || c.AckMinutes <= 0 || c.SLAValue <= 0 {
				t.Fatalf("%+v", c)
			}
			if strings.ContainsAny(c.NameZH+c.LeadDept, "\n\x00") {
				t.Fatalf("%+v", c)
			}
		}
	})
}
