// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
)

// Contact heads a unit or a building of a grid; neither account nor track belongs to
// one. Name and phone are personal: they are kept sealed, and leave the program
// masked, or revealed by an act of its own.
type Contact struct {
	ID         int64
	Root, Grid string // codes of the county and the grid
	Role       string // unit_head or building_head
	Building   string
	Unit       string
	ExternalID string
	Name       string
	Phone      string
}

func contactField(id int64, field string) string {
	return "contact/" + strconv.FormatInt(id, 10) + "/" + field
}

const contactColumns = "c.id, c.root_code, c.grid_code, c.role, c.building, c.unit, c.external_id, c.name_sealed, c.phone_sealed FROM contact c "

func (s *Sealer) scanContact(row pgx.CollectableRow) (c Contact, err error) {
	var name, phone []byte
	if err = row.Scan(&c.ID, &c.Root, &c.Grid, &c.Role, &c.Building, &c.Unit, &c.ExternalID, &name, &phone); err != nil {
		return c, err
	}
	if c.Name, err = s.Open(contactField(c.ID, "name"), name); err == nil {
		c.Phone, err = s.Open(contactField(c.ID, "phone"), phone)
	}
	return c, err
}

// GridContacts lists the contacts of a grid of the county with this root, by building
// and unit, from the one after the id of a page before; at most limit. no is the
// grid's number, by which the scope is asked.
func GridContacts(ctx context.Context, tx Querier, s auth.Scope, seal *Sealer, root, code string, no int32, after int64, limit int) ([]Contact, error) {
	if !s.Sees(no) {
		return nil, fmt.Errorf("store: contacts of grid %s: %w", code, ErrNotFound)
	}
	rows, err := tx.Query(ctx, "SELECT "+contactColumns+`WHERE c.root_code = $1 AND c.grid_code = $2
		AND ($3 = 0 OR (c.building, c.unit, c.id) > (SELECT building, unit, id FROM contact WHERE id = $3))
		ORDER BY c.building, c.unit, c.id LIMIT $4`, root, code, after, limit)
	if err != nil {
		return nil, fmt.Errorf("store: contacts of grid %s: %w", code, err)
	}
	out, err := pgx.CollectRows(rows, seal.scanContact)
	if err != nil {
		return nil, fmt.Errorf("store: contacts of grid %s: %w", code, err)
	}
	return out, nil
}

// FindContact returns a contact whose grid is in force and in scope, or ErrNotFound.
func FindContact(ctx context.Context, tx Querier, s auth.Scope, seal *Sealer, id int64) (Contact, error) {
	var q query
	q.add("SELECT "+contactColumns+`JOIN grid g ON g.code = c.grid_code JOIN grid_version v ON v.id = g.version_id AND v.state = 'enacted' AND v.root_code = c.root_code
		WHERE c.id = ? AND `, id).inScope(s, "g.no")
	rows, err := tx.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return Contact{}, fmt.Errorf("store: contact %d: %w", id, err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, seal.scanContact)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return Contact{}, fmt.Errorf("store: contact %d: %w", id, err)
	}
	return c, nil
}

// contactKeys are what contacts are known again by, as columns.
func contactKeys(list []Contact) (cols [5][]string) {
	for _, c := range list {
		for i, v := range []string{c.Grid, c.Role, c.Building, c.Unit, c.ExternalID} {
			cols[i] = append(cols[i], v)
		}
	}
	return cols
}

// SaveContacts writes contacts of one county, each known again by grid, role,
// building, unit and its own number, and none twice in the list. It reports which of
// them were not there just so. An empty phone leaves what is stored of the same
// person; of another it is taken away.
func SaveContacts(ctx context.Context, tx pgx.Tx, seal *Sealer, root string, list []Contact, now time.Time) (changed []bool, err error) {
	k := contactKeys(list)
	rows, err := tx.Query(ctx, `SELECT coalesce(c.id, nextval('contact_id_seq')), c.id IS NULL, c.name_sealed, c.phone_sealed
		FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) WITH ORDINALITY AS k(grid, role, building, unit, external_id, n)
		LEFT JOIN contact c ON c.root_code = $1 AND c.grid_code = k.grid AND c.role = k.role AND c.building = k.building AND c.unit = k.unit
			AND c.external_id = k.external_id
		ORDER BY k.n`, root, k[0], k[1], k[2], k[3], k[4])
	if err != nil {
		return nil, fmt.Errorf("store: save contacts: %w", err)
	}
	type stored struct {
		id          int64
		fresh       bool
		name, phone []byte
	}
	had, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (v stored, err error) {
		err = row.Scan(&v.id, &v.fresh, &v.name, &v.phone)
		return v, err
	})
	if err != nil {
		return nil, fmt.Errorf("store: save contacts: %w", err)
	}
	b := &pgx.Batch{}
	changed = make([]bool, len(list))
	for i, c := range list {
		v := had[i]
		name, phone, err := seal.contact(v.id, c, v.name, v.phone)
		if err != nil {
			return nil, fmt.Errorf("store: seal contact %d: %w", v.id, err)
		}
		if changed[i] = v.fresh || !bytes.Equal(v.name, name) || !bytes.Equal(v.phone, phone); !changed[i] {
			continue
		}
		b.Queue(`INSERT INTO contact (id, root_code, grid_code, role, building, unit, external_id, name_sealed, phone_sealed, updated_at)
			OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
			ON CONFLICT (id) DO UPDATE SET name_sealed = excluded.name_sealed, phone_sealed = excluded.phone_sealed, updated_at = excluded.updated_at`,
			v.id, root, c.Grid, c.Role, c.Building, c.Unit, c.ExternalID, name, phone, now)
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("store: save contacts: %w", err)
	}
	return changed, nil
}

// contact seals what a contact is over what is stored of it, which stays where it
// says the same.
func (s *Sealer) contact(id int64, c Contact, name, phone []byte) (_, _ []byte, err error) {
	was, err := s.Open(contactField(id, "name"), name)
	if err == nil && was != c.Name {
		name, err = s.Seal(contactField(id, "name"), c.Name)
		phone = nil // of somebody else
	}
	var tel string
	if err == nil {
		tel, err = s.Open(contactField(id, "phone"), phone)
	}
	if err == nil && c.Phone != "" && tel != c.Phone {
		phone, err = s.Seal(contactField(id, "phone"), c.Phone)
	}
	return name, phone, err
}

// KeepContacts deletes the contacts of a county but those known again, and returns
// how many.
func KeepContacts(ctx context.Context, tx pgx.Tx, root string, keep []Contact) (int64, error) {
	k := contactKeys(keep)
	tag, err := tx.Exec(ctx, `DELETE FROM contact c WHERE c.root_code = $1 AND (c.grid_code, c.role, c.building, c.unit, c.external_id) NOT IN (
		SELECT * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[]))`, root, k[0], k[1], k[2], k[3], k[4])
	if err != nil {
		return 0, fmt.Errorf("store: contacts that are no more: %w", err)
	}
	return tag.RowsAffected(), nil
}
