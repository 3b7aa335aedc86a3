// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"onemap/geo"
)

// usualNames are the names that columns with these contents usually have, the
// likeliest first. They serve proposals, which somebody looks at before use.
var usualNames = map[string][]string{
	"external_id": {"external_id", "编号", "事件编号", "工单编号", "工单号", "案件编号", "id", "incident_number", "case_id", "case number"},
	"source":      {"source", "来源", "事件来源"},
	"category":    {"category", "类别", "事件类别", "事件类型", "类型", "分类", "案由", "type"},
	"title":       {"title", "标题", "事件标题", "事件名称", "名称", "summary", "name"},
	"text":        {"text", "内容", "描述", "事件描述", "事件内容", "详情", "description"},
	"lon":         {LonColumn, "lon", "lng", "long", "longitude", "经度", "东经"},
	"lat":         {LatColumn, "lat", "latitude", "纬度", "北纬"},
	"address":     {"address", "地址", "事发地址", "事发地点", "地点", "位置"},
	"reported_at": {"reported_at", "上报时间", "发生时间", "报告时间", "受理时间", "登记时间", "创建时间", "时间", "created_at", "datetime", "date", "time"},
	"closed_at":   {"closed_at", "办结时间", "结案时间", "完成时间"},

	"dispatched_at": {"dispatched_at", "派遣时间", "派单时间"}, "acknowledged_at": {"acknowledged_at", "签收时间", "接单时间"},
	"on_scene_at": {"on_scene_at", "到场时间", "到达时间"}, "resolved_at": {"resolved_at", "处置完成时间"},
	"code":   {"code", "adcode", "gbcode", "xzqdm", "zonecode", "代码", "编码", "网格编号", "编号", "dm", "id"},
	"name":   {"name", "xzqmc", "名称", "网格名称", "mc"},
	"parent": {"parent", "parentcode", "parent_code", "sjdm", "上级代码", "上级编码", "父级代码"},
	"level":  {"level", "层级", "级别"},
}

// usual is the column of header that usually holds field; "" when there is none.
func usual(header []string, field string) string {
	for _, name := range usualNames[field] {
		for _, c := range header {
			if strings.EqualFold(strings.TrimSpace(c), name) {
				return c
			}
		}
	}
	return ""
}

// usualLayouts are layouts of times, tried in this order on the rows of a sample.
var usualLayouts = []string{
	"yyyy-MM-dd HH:mm:ss", "yyyy-MM-dd HH:mm", "yyyy-MM-dd", "yyyy/M/d H:mm:ss", "yyyy/M/d H:mm", "yyyy/M/d",
	"yyyy年M月d日 H:mm:ss", "yyyy年M月d日 H时m分", "yyyy年M月d日", "RFC3339", "yyyyMMdd",
}

// GuessMap proposes a column map for a file with this header and these first rows:
// its JSON, to be looked at, completed and saved. datum is what the file says its
// coordinates are; "" leaves "crs" out, which nobody can guess. prefix begins the
// external ids of rows that have none of their own.
func GuessMap(header []string, sample []Row, datum geo.Datum, prefix string) []byte {
	m := mapFile{CRS: string(datum), Fields: map[string]field{}}
	for _, name := range fieldNames {
		if c := usual(header, name); c != "" && name != "state" && name != "priority" {
			m.Fields[name] = field{Column: c}
		}
	}
	if _, ok := m.Fields["external_id"]; !ok {
		m.Fields["external_id"] = field{Row: prefix + "-"}
	}
	if _, ok := m.Fields["source"]; !ok {
		m.Fields["source"] = field{Constant: "import"}
	}
	_, lon := m.Fields["lon"]
	_, lat := m.Fields["lat"]
	if !lon || !lat {
		delete(m.Fields, "lon")
		delete(m.Fields, "lat")
		m.CRS = ""
	}
	m.Time = guessTimes(header, sample, m.Fields)
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		panic("file: a column map is no JSON: " + err.Error()) // it always is
	}
	return append(text, '\n')
}

// guessTimes finds the layouts that fit the sample's times. A clock without an
// offset is taken to stand in China.
func guessTimes(header []string, sample []Row, fields map[string]field) timeSpec {
	t := timeSpec{Zone: "Asia/Shanghai"}
	for _, name := range timeFields {
		i := slices.Index(header, fields[name].Column)
		for _, row := range sample {
			if i < 0 || i >= len(row.Cells) || row.Fault != "" {
				continue
			}
			for _, l := range usualLayouts {
				layout, _, err := goLayout(l)
				if err != nil {
					continue // none of ours is wrong
				}
				if _, err := time.Parse(layout, strings.TrimSpace(row.Cells[i])); err == nil {
					if !slices.Contains(t.Layouts, l) {
						t.Layouts = append(t.Layouts, l)
					}
					break
				}
			}
		}
	}
	return t
}
