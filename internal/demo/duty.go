// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"onemap/auth"
	"onemap/people"
	"onemap/store"
)

// dutyWeeks is for how many weeks from the load on the demo has duty officers.
const dutyWeeks = 53

// copyDuty gives the county three and each town two duty officers, who take turns by the
// week from Monday 8:00 on. They are accounts of posts, no persons. Nobody knows their
// password: to sign in as one, an administrator invites the account anew.
func (l *loader) copyDuty(ctx context.Context, c *copier) {
	if c.err != nil {
		return
	}
	var password string
	if password, c.err = auth.HashPassword(store.NewSecret(), rand.Reader); c.err != nil {
		return
	}
	local := people.Local(l.Until)
	monday := time.Date(local.Year(), local.Month(), local.Day()-(int(local.Weekday())+6)%7, 8, 0, 0, 0, local.Location())
	if monday.After(local) {
		monday = monday.AddDate(0, 0, -7)
	}
	var rows [][]any
	for i := range l.banner.Drafts {
		g := &l.banner.Drafts[i]
		role, turns := auth.Dispatcher, 3
		switch g.Level {
		case 1:
		case 2:
			role, turns = auth.TownOperator, 2
		default:
			continue
		}
		officers := make([]int64, turns)
		for n := range officers {
			if officers[n], c.err = l.dutyAccount(ctx, c, role, string(g.Code), n+1, password); c.err != nil {
				return
			}
		}
		for week := range dutyWeeks {
			rows = append(rows, []any{RootCode, string(g.Code), officers[(week+i)%turns], monday.AddDate(0, 0, 7*week), monday.AddDate(0, 0, 7*week+7), "demo", l.Until})
		}
	}
	c.copy(ctx, "duty_officer", []string{"root_code", "grid_code", "account_id", "from_at", "to_at", "made_by", "made_at"}, rows)
}

// dutyAccount makes the n-th account that is on duty for a grid.
func (l *loader) dutyAccount(ctx context.Context, c *copier, role auth.Role, code string, n int, password string) (int64, error) {
	id, err := store.CreateAccountIn(ctx, c.tx, RootCode, fmt.Sprintf("duty-%s-%d", strings.ToLower(code), n), 0, "demo")
	if err == nil {
		_, err = c.tx.Exec(ctx, "UPDATE account SET state = 'active', password = $2 WHERE id = $1", id, password)
	}
	if err == nil {
		g := store.Grant{Account: id, Role: role, GridCode: code, RootCode: RootCode, Sensitive: true, Reason: "演示数据", ProposedBy: "demo", SecurityBy: "demo"}
		_, err = store.SaveGrant(ctx, c.tx, g, l.Until)
	}
	return id, err
}
