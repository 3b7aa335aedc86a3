// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"

	"onemap/auth"
	"onemap/store"
)

// realm is whom and what an administrator deals with.
type realm struct {
	everywhere bool             // every county, also those to come
	town       bool             // only field workers of a town
	sees       func(int32) bool // a grid with this number
	root       string           // the county it is confined to; "" for none
}

func realmOf(ctx context.Context, a auth.Actor, d auth.Decision) realm {
	c := credentialIn(ctx)
	if d.Reach != auth.Everything {
		return realm{town: true, sees: d.Scope.Sees, root: c.RootCode}
	}
	return realm{everywhere: c.GridCode == "", sees: a.Home, root: c.RootCode}
}

// holds reports whether a right over the grid with this code and number lies
// inside the realm.
func (r realm) holds(code string, no int32) bool {
	return r.everywhere || code != "" && no != 0 && r.sees(no)
}

func grantsOf(a store.Account) (out []store.Grant) {
	for _, g := range []*store.Grant{a.Active, a.Proposed} {
		if g != nil {
			out = append(out, *g)
		}
	}
	return out
}

// shows reports whether an account is known in the realm: to a town by any grant
// there, else by all of them, and without any by the county it was made in.
func (r realm) shows(a store.Account) bool {
	in := func(g store.Grant) bool { return r.holds(g.GridCode, g.No) }
	out := func(g store.Grant) bool { return !in(g) }
	if r.town {
		return slices.ContainsFunc(grantsOf(a), in)
	}
	if a.Active == nil && a.Proposed == nil {
		return r.everywhere || a.Root != "" && a.Root == r.root
	}
	return !slices.ContainsFunc(grantsOf(a), out)
}

// manages reports whether the realm's administrator may change the account.
func (r realm) manages(a store.Account) bool {
	return r.shows(a) && (!r.town || !slices.ContainsFunc(grantsOf(a), func(g store.Grant) bool { return !auth.TownMayPropose(g.Role) || !r.holds(g.GridCode, g.No) }))
}

type pageInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"200"`
	Cursor string `query:"cursor" maxLength:"32"`
}

// collect gathers a page of what keep keeps. read returns what comes after an id.
func collect[T any](in pageInput, read func(after int64, limit int) ([]T, error), id func(T) int64, keep func(T) bool) (out []T, cursor *string, err error) {
	var after int64
	if in.Cursor != "" {
		if after, err = strconv.ParseInt(in.Cursor, 10, 64); err != nil {
			return nil, nil, problem(http.StatusBadRequest, "this cursor is not one of this list")
		}
	}
	for {
		got, err := read(after, pageRead)
		if err != nil {
			return nil, nil, err
		}
		for _, x := range got {
			after = id(x)
			if !keep(x) {
				continue
			}
			if out = append(out, x); len(out) == in.Limit {
				next := strconv.FormatInt(after, 10)
				return out, &next, nil
			}
		}
		if len(got) < pageRead {
			return out, nil, nil
		}
	}
}

const pageRead = 200
