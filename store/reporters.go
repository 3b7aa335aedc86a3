// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
)

// Reporter is who reported an incident. Every field but N is personal: it is
// kept sealed and leaves the program masked, or revealed by an act of its own.
type Reporter struct {
	N        int // 1 for the first; later ones came with merged incidents
	Name     string
	Phone    string
	IDNumber string
}

// SealedReporter is a Reporter as it is kept.
type SealedReporter struct {
	Name, Phone, IDNumber []byte
	PhoneHash             []byte // keyed, of its digits: finds the incidents of one phone without opening any
}

// SealReporter seals a reporter's fields for the incident with this id.
func (s *Sealer) SealReporter(incident int64, r Reporter) (out SealedReporter, err error) {
	for _, f := range []struct {
		name string
		text string
		to   *[]byte
	}{{"name", r.Name, &out.Name}, {"phone", r.Phone, &out.Phone}, {"id_number", r.IDNumber, &out.IDNumber}} {
		if *f.to, err = s.Seal(reporterField(incident, r.N, f.name), f.text); err != nil {
			return SealedReporter{}, err
		}
	}
	out.PhoneHash = s.Hash(r.Phone)
	return out, nil
}

// OpenReporter opens what SealReporter sealed.
func (s *Sealer) OpenReporter(incident int64, n int, in SealedReporter) (r Reporter, err error) {
	r.N = n
	for _, f := range []struct {
		name string
		from []byte
		to   *string
	}{{"name", in.Name, &r.Name}, {"phone", in.Phone, &r.Phone}, {"id_number", in.IDNumber, &r.IDNumber}} {
		if *f.to, err = s.Open(reporterField(incident, n, f.name), f.from); err != nil {
			return Reporter{}, err
		}
	}
	return r, nil
}

func reporterField(incident int64, n int, field string) string {
	return "reporter/" + strconv.FormatInt(incident, 10) + "/" + strconv.Itoa(n) + "/" + field
}

// Reporters returns who reported the incident, by n, or ErrNotFound when it is
// out of scope. It runs inside tx, because the database gives the sealed fields
// of one incident alone, which the transaction names.
func (db *DB) Reporters(ctx context.Context, tx pgx.Tx, s auth.Scope, seal *Sealer, incident int64) ([]Reporter, error) {
	if _, err := FindIncident(ctx, tx, s, auth.CaseView, incident, false); err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, "SELECT set_config('onemap.reporter_of', $1, true)", strconv.FormatInt(incident, 10)); err != nil {
		return nil, fmt.Errorf("store: reporters of incident %d: %w", incident, err)
	}
	rows, err := tx.Query(ctx, "SELECT n, name_sealed, phone_sealed, id_number_sealed FROM reporter WHERE incident_id = $1 ORDER BY n", incident)
	if err != nil {
		return nil, fmt.Errorf("store: reporters of incident %d: %w", incident, err)
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (Reporter, error) {
		var n int
		var sealed SealedReporter
		if err := r.Scan(&n, &sealed.Name, &sealed.Phone, &sealed.IDNumber); err != nil {
			return Reporter{}, err
		}
		return seal.OpenReporter(incident, n, sealed)
	})
	if err != nil {
		return nil, fmt.Errorf("store: reporters of incident %d: %w", incident, err)
	}
	return out, nil
}
