// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package gazetteer

import (
	"testing"
	"unicode/utf8"
)

func TestNormalise(t *testing.T) {
	for in, want := range map[string]string{
		"":               "",
		"　鄂托克前旗　敖镇 ":     "鄂托克前旗敖镇",
		"ＡＢＣ１２３號":        "ABC123号",
		"东安路二七零号":        "东安路270号",
		"斜土路八百八十五号":      "斜土路885号",
		"一百零三弄十五号二十室":    "103弄15号20室",
		"12#楼３单元四〇一室":    "12号楼3单元401室",
		"三段地社区":          "三段地社区",
		"第一人民医院":         "第一人民医院",
		"人民路,, ,十号":      "人民路,10号",
		"珠和东街【中智佳苑底商】":   "珠和东街(中智佳苑底商)",
		"Main  Street 5": "MAIN STREET 5",
		"长安街 5 号":        "长安街5号",
		"城川鎮東三公里":        "城川镇东3公里",
		"百货楼":            "百货楼",
		"\xff坏\xc3字\x00": "坏字",
		"阿拉善·左旗":         "阿拉善左旗",
		"天山路600弄1号～3号":   "天山路600弄1号-3号",
		"二百五十号":          "250号",
		"十十号":            "十十号",
		"一二三四五六七八九一二号":   "一二三四五六七八九一二号",
		"000# 0":         "000号0",
		"1 号楼 2 单元":      "1号楼2单元",
		"金州路,（近环镇北路）":    "金州路,(近环镇北路)",
	} {
		if got := Normalise(in); got != want {
			t.Errorf("Normalise(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzNormalise(f *testing.F) {
	for _, s := range []string{"敖镇莎日塔拉东街十号", "a 三#号", "１２＃", "东3.5公里", "一1号", "— ,, 號", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n := Normalise(s)
		if !utf8.ValidString(n) {
			t.Errorf("%q: no valid text: %q", s, n)
		}
		if again := Normalise(n); again != n {
			t.Errorf("%q: %q, and again %q", s, n, again)
		}
		if len(n) > 3*len(s)+3 {
			t.Errorf("%q grew to %q", s, n)
		}
	})
}
