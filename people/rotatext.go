// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package people

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// span is a time of day to another, the marks between already made alike.
var span = regexp.MustCompile(`^(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})$`)

// days is one day of the week or a run of days.
var days = regexp.MustCompile(`^([1-7])(?:-([1-7]))?$`)

// stuck is a time right behind the word for a day.
var stuck = regexp.MustCompile(`([一二三四五六日天末])(\d{1,2}:)`)

// dayWords make days of the words for them; the longer word stands first.
var dayWords = strings.NewReplacer(
	"每天", "1-7", "每日", "1-7", "全周", "1-7", "工作日", "1-5", "星期", "", "礼拜", "", "周", "",
	"一", "1", "二", "2", "三", "3", "四", "4", "五", "5", "六", "6", "日", "7", "天", "7", "末", "6-7",
)

// alike makes the marks of a rota's text alike.
var alike = strings.NewReplacer("：", ":", "～", "-", "~", "-", "—", "-", "–", "-", "－", "-", "至", "-", "到", "-", "；", ";", "\n", ";", "，", " ", ",", " ", "、", " ")

// ParseRota reads a weekly rota as people write it: days, then times, parts of it
// apart by semicolons: 周一至周五 08:00-12:00 14:00-18:00；6,7 20:00-08:00. A time that
// ends before it begins runs into the next day. Runs of one day must not begin alike.
func ParseRota(text string) (Rota, error) {
	var out Rota
	for part := range strings.SplitSeq(stuck.ReplaceAllString(alike.Replace(text), "$1 $2"), ";") {
		var on []int
		times := 0
		for _, word := range strings.Fields(part) {
			if m := span.FindStringSubmatch(word); m != nil {
				times++
				for _, day := range on {
					h, err := hours(day, m)
					if err != nil {
						return nil, err
					}
					if slices.ContainsFunc(out, func(o Hours) bool { return o.Weekday == h.Weekday && o.Start == h.Start }) {
						return nil, fmt.Errorf("“%s”：同一天有两段从同一时间开始", strings.TrimSpace(part))
					}
					out = append(out, h)
				}
				continue
			}
			m := days.FindStringSubmatch(dayWords.Replace(word))
			if m == nil {
				return nil, fmt.Errorf("“%s”不是星期或时间段（例：周一至周五 08:00-17:30；6 20:00-08:00）", word)
			}
			if times > 0 {
				return nil, fmt.Errorf("“%s”：不同星期之间用分号隔开", strings.TrimSpace(part))
			}
			first, _ := strconv.Atoi(m[1])
			last := first
			if m[2] != "" {
				last, _ = strconv.Atoi(m[2])
			}
			for d := first; ; d = d%7 + 1 { // 6-1 is Saturday to Monday
				if !slices.Contains(on, d) {
					on = append(on, d)
				}
				if d == last {
					break
				}
			}
		}
		if (len(on) == 0) != (times == 0) || len(on) > 0 && times == 0 {
			return nil, fmt.Errorf("“%s”：星期和时间段都要有", strings.TrimSpace(part))
		}
	}
	slices.SortFunc(out, func(a, b Hours) int {
		if d := int(a.Weekday+6)%7 - int(b.Weekday+6)%7; d != 0 {
			return d
		}
		return a.Start - b.Start
	})
	return out, nil
}

// hours is one run of duty on an ISO day; m is a match of span.
func hours(day int, m []string) (Hours, error) {
	var n [4]int
	for i := range n {
		n[i], _ = strconv.Atoi(m[i+1]) // the pattern has digits only
	}
	start, end := n[0]*60+n[1], n[2]*60+n[3]
	if n[1] > 59 || n[3] > 59 || start >= 1440 || end > 1440 {
		return Hours{}, fmt.Errorf("“%s”不是一天里的时间", m[0])
	}
	if end <= start {
		end += 1440
	}
	return Hours{Weekday: time.Weekday(day % 7), Start: start, End: end}, nil
}
