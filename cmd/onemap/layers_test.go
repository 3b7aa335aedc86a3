// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
)

func TestPreviewOfLayersAndCameras(t *testing.T) {
	points := textFile(t, "wells.csv", "编号,名称,经度,纬度\nw1,东井,107.2,38.2\nw2,西井,,38.2\nw3,南井,107.1,38.1\n")
	cameras := textFile(t, "cameras.csv", "设备编码,名称,经度,纬度\n15062300001310000001,路口,107.2,38.2\n15062300001180000002,录像机,107.2,38.2\n")
	for _, c := range []struct {
		args       []string
		want       []string
		leavesNone string // does not stand in the answer
	}{
		{
			[]string{"import", "layer", points, "--layer", "wells", "--crs", "wgs84", "--preview"},
			[]string{"row 1 (line 2): w1 东井, Point", "row 2 (line 3): REFUSED: ", "row 3 (line 4): w3 南井", "nothing was written"},
			"row 4",
		},
		{
			[]string{"import", "layer", points, "--layer", "wells", "--crs", "wgs84", "--preview=2"},
			[]string{"row 2 (line 3): REFUSED: "},
			"row 3",
		},
		{
			[]string{"import", "cameras", cameras, "--crs", "gcj02", "--preview"},
			[]string{"row 1 (line 2): 15062300001310000001 路口, heading -1", "107.2,38.2 gcj02", "row 2 (line 3): REFUSED: ", "nothing was written"},
			"row 3",
		},
	} {
		code, out, said := command(t, nowhere, c.args...)
		for _, want := range c.want {
			wantCommand(t, 0, want, code, out, said)
		}
		if strings.Contains(out, c.leavesNone) {
			t.Errorf("%v: %s", c.args, out)
		}
	}
}
