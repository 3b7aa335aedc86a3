// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/dispatch"
)

// CategoryAdvice is what advice on a category goes by.
type CategoryAdvice struct {
	Category string
	dispatch.AdviceSetting
}

// rulesLock is the key of the advisory lock that whoever changes rules holds until its
// commit: "omrule".
const rulesLock = 0x6f6d72756c65

// HoldRules lets nobody else change rules before the end of tx.
func HoldRules(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(rulesLock)); err != nil {
		return fmt.Errorf("store: hold the rules: %w", err)
	}
	return nil
}

// AdviceSettings lists what the centre sets, by category. Advice reads it each time.
func AdviceSettings(ctx context.Context, q Querier) ([]CategoryAdvice, error) {
	rows, err := q.Query(ctx, "SELECT r.category, "+adviceColumns+` FROM advice_rule r ORDER BY r.category COLLATE "C"`)
	if err != nil {
		return nil, fmt.Errorf("store: advice rules: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c CategoryAdvice, err error) {
		c.AdviceSetting, err = scanAdviceSetting(row, &c.Category)
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("store: advice rules: %w", err)
	}
	return out, nil
}

// SaveAdviceSettings puts these in the place of all that was set. It writes no audit row.
func SaveAdviceSettings(ctx context.Context, tx pgx.Tx, all []CategoryAdvice) error {
	if _, err := tx.Exec(ctx, "DELETE FROM advice_rule"); err != nil {
		return fmt.Errorf("store: advice rules: %w", err)
	}
	for _, c := range all {
		if err := SaveAdviceSetting(ctx, tx, c.Category, c.AdviceSetting); err != nil {
			return err
		}
	}
	return nil
}

// OfferSetting is how dispatch.OfferRules are kept, as setting "offers". What is left
// out is as in dispatch.DefaultOfferRules.
type OfferSetting struct {
	ExpiresS int                `json:"expires_s,omitempty"`
	OnExpiry string             `json:"on_expiry,omitempty"` // "ask" the desk, or "next" candidate
	LateYes  string             `json:"late_yes,omitempty"`  // "free": counts while nobody else was asked since; or "never"
	Work     int                `json:"work,omitempty"`
	RadiusM  float64            `json:"radius_m,omitempty"`
	RadiusOf map[string]float64 `json:"radius_of,omitempty"` // by category
}

// ReadOfferRules reads the centre's rules about offers; nodes have them in their Catalogue.
func ReadOfferRules(ctx context.Context, q Querier) (dispatch.OfferRules, error) {
	r := dispatch.DefaultOfferRules()
	var raw []byte
	err := q.QueryRow(ctx, "SELECT value FROM setting WHERE key = 'offers'").Scan(&raw)
	if errors.Is(err, pgx.ErrNoRows) {
		return r, nil
	}
	var o OfferSetting
	if err == nil {
		err = json.Unmarshal(raw, &o)
	}
	if err != nil {
		return r, fmt.Errorf("store: rules of offers: %w", err)
	}
	if o.ExpiresS > 0 {
		r.Expires = time.Duration(o.ExpiresS) * time.Second
	}
	if o.Work > 0 {
		r.Work = o.Work
	}
	if o.RadiusM > 0 {
		r.RadiusM = o.RadiusM
	}
	r.Next, r.NoLateYes, r.RadiusOf = o.OnExpiry == "next", o.LateYes == "never", o.RadiusOf
	return r, nil
}

// SaveOfferRules puts rules in the place of those before. It writes no audit row.
func SaveOfferRules(ctx context.Context, tx pgx.Tx, r dispatch.OfferRules) error {
	o := OfferSetting{ExpiresS: int(r.Expires.Seconds()), OnExpiry: "ask", LateYes: "free", Work: r.Work, RadiusM: r.RadiusM, RadiusOf: r.RadiusOf}
	if r.Next {
		o.OnExpiry = "next"
	}
	if r.NoLateYes {
		o.LateYes = "never"
	}
	return SetSetting(ctx, tx, "offers", o)
}
