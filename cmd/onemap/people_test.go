// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"onemap/internal/pgtest"
)

func TestPeopleFromTheCommandLine(t *testing.T) {
	roster := textFile(t, "roster.csv", "工号,姓名,手机,网格,值班时间\nW1,欧阳一,13800000001,000000000000,每天 08:00-18:00\nW2,钱二,138,A9,\n")
	code, out, said := command(t, nowhere, "import", "people", roster, "--preview")
	wantCommand(t, 0, "badge from 工号, grids from 网格, hours from 值班时间, name from 姓名, phone from 手机", code, out, said)
	m := textFile(t, "map.json", `{"fields":{"badge":{"column":"工号"},"name":{"column":"姓名"},"phone":{"column":"手机"},"grids":{"column":"网格"},"hours":{"column":"值班时间"}}}`)
	code, out, said = command(t, nowhere, "import", "people", roster, "--map", m, "--preview")
	for _, want := range []string{"name from 姓名", `badge="W1" name="欧**" phone="138****0001"`, `grids=["000000000000"] as worker`, "hours=7", "row 2 (line 3): REFUSED: phone 不是电话号码", "nothing was written"} {
		wantCommand(t, 0, want, code, out, said)
	}
	if strings.Contains(out+said, "欧阳") || strings.Contains(out+said, "13800000001") {
		t.Errorf("the preview tells a person: %s", out)
	}
	for _, column := range []string{"身份证号码", "证件号", "ID_card_no", "idNumber", "SFZH"} {
		code, out, said = command(t, nowhere, "import", "people", textFile(t, "ids.csv", "工号,"+column+"\nW1,1\n"), "--preview")
		wantCommand(t, 1, "columns of identity numbers: "+column, code, out, said)
	}
	code, out, said = command(t, nowhere, "import", "people", textFile(t, "no.csv", "工号,grid_no,GridNumber,grid_num,证书,idle\nW1,1,1,1,1,1\n"), "--preview")
	wantCommand(t, 0, `badge="W1"`, code, out, said)
	url := pgtest.URL(t)
	box := textFile(t, "box.geojson", `{"type":"Feature","properties":{"code":"000000000000","name":"旗","level":1},"geometry":{"type":"Polygon","coordinates":[[[107,38],[108,38],[108,39],[107,39],[107,38]]]}}`)
	code, out, said = command(t, url, "import", "grids", box, "--crs", "wgs84", "--enact")
	wantCommand(t, 0, "is enacted", code, out, said)
	code, out, said = command(t, url, "import", "people", roster, "--map", m, "--dry-run")
	wantCommand(t, 0, "dry run, nothing was written: rows 2: with grids 1, without 0, would be rejected 1", code, out, said)
	code, out, said = command(t, url, "import", "people", roster, "--map", m)
	wantCommand(t, 0, "rows 2: new or changed with grids 1, without 0, already there 0, rejected 1", code, out, said)
	wantCommand(t, 0, "roster.rejects.csv", code, out, said)

	firms := textFile(t, "firms.csv", "编号,单位名称,地址,经度,纬度\n1,敖镇供电所,敖镇南街,107.5,38.5\n")
	code, out, said = command(t, url, "import", "organisations", firms, "--crs", "wgs84", "--source", "名录")
	wantCommand(t, 0, "new or changed in a grid 1", code, out, said)
	code, out, said = command(t, url, "import", "organisations", textFile(t, "firms.csv", "编号,单位名称,联系人,经度,纬度\n1,a,b,107.5,38.5\n"), "--crs", "wgs84", "--source", "名录")
	wantCommand(t, 1, "columns about persons: 联系人", code, out, said)
}
