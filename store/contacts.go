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

// SaveContact writes a contact, known again by grid, role, building, unit and its
// own number, and reports whether anything was not there just so. An empty phone
// leaves what is stored of the same person; of another it is taken away.
func SaveContact(ctx context.Context, tx pgx.Tx, seal *Sealer, c Contact, now time.Time) (changed bool, err error) {
	var name, phone []byte
	err = tx.QueryRow(ctx, `SELECT id, name_sealed, phone_sealed FROM contact
		WHERE root_code = $1 AND grid_code = $2 AND role = $3 AND building = $4 AND unit = $5 AND external_id = $6 FOR UPDATE`,
		c.Root, c.Grid, c.Role, c.Building, c.Unit, c.ExternalID).Scan(&c.ID, &name, &phone)
	fresh := errors.Is(err, pgx.ErrNoRows)
	if fresh {
		err = tx.QueryRow(ctx, `INSERT INTO contact (root_code, grid_code, role, building, unit, external_id, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id`,
			c.Root, c.Grid, c.Role, c.Building, c.Unit, c.ExternalID, now).Scan(&c.ID)
	}
	if err != nil {
		return false, fmt.Errorf("store: save a contact: %w", err)
	}
	before := [2][]byte{bytes.Clone(name), bytes.Clone(phone)}
	was, err := seal.Open(contactField(c.ID, "name"), name)
	if err == nil && was != c.Name {
		name, err = seal.Seal(contactField(c.ID, "name"), c.Name)
		phone = nil // of somebody else
	}
	var tel string
	if err == nil {
		tel, err = seal.Open(contactField(c.ID, "phone"), phone)
	}
	if err == nil && c.Phone != "" && tel != c.Phone {
		phone, err = seal.Seal(contactField(c.ID, "phone"), c.Phone)
	}
	changed = fresh || !bytes.Equal(before[0], name) || !bytes.Equal(before[1], phone)
	if err == nil && changed {
		_, err = tx.Exec(ctx, "UPDATE contact SET name_sealed = $2, phone_sealed = $3, updated_at = $4 WHERE id = $1", c.ID, name, phone, now)
	}
	if err != nil {
		return false, fmt.Errorf("store: save contact %d: %w", c.ID, err)
	}
	return changed, nil
}

// KeepContacts deletes the contacts of a county but those known again, and returns
// how many.
func KeepContacts(ctx context.Context, tx pgx.Tx, root string, keep []Contact) (int64, error) {
	n := len(keep)
	cols := [5][]string{make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)}
	for i, c := range keep {
		cols[0][i], cols[1][i], cols[2][i], cols[3][i], cols[4][i] = c.Grid, c.Role, c.Building, c.Unit, c.ExternalID
	}
	tag, err := tx.Exec(ctx, `DELETE FROM contact c WHERE c.root_code = $1 AND (c.grid_code, c.role, c.building, c.unit, c.external_id) NOT IN (
		SELECT * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[]))`, root, cols[0], cols[1], cols[2], cols[3], cols[4])
	if err != nil {
		return 0, fmt.Errorf("store: contacts that are no more: %w", err)
	}
	return tag.RowsAffected(), nil
}
