// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Skill is something workers may be sent for.
type Skill struct{ Code, Name string }

// Skills lists the catalogue by code. While it is empty every skill may be named.
func Skills(ctx context.Context, tx Querier) ([]Skill, error) {
	rows, err := tx.Query(ctx, "SELECT code, name FROM skill ORDER BY code")
	if err != nil {
		return nil, fmt.Errorf("store: skills: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Skill])
	if err != nil {
		return nil, fmt.Errorf("store: skills: %w", err)
	}
	return out, nil
}

// SaveSkills adds skills to the catalogue and renames those it has. What workers had
// by the name alone they have by the code then. It returns the badges of those
// workers, and the skills that workers have and the catalogue lacks.
func SaveSkills(ctx context.Context, tx pgx.Tx, list []Skill) (badges, unknown []string, err error) {
	codes, names := make([]string, len(list)), make([]string, len(list))
	for i, s := range list {
		codes[i], names[i] = s.Code, s.Name
	}
	_, err = tx.Exec(ctx, `INSERT INTO skill (code, name) SELECT * FROM unnest($1::text[], $2::text[])
		ON CONFLICT (code) DO UPDATE SET name = excluded.name`, codes, names)
	if err != nil {
		return nil, nil, fmt.Errorf("store: save skills: %w", err)
	}
	rows, err := tx.Query(ctx, `UPDATE worker w SET ver = ver + 1, skills = n.skills FROM (
			SELECT w.id, array_agg(coalesce(s.code, u.skill) ORDER BY u.n) AS skills
			FROM worker w, unnest(w.skills) WITH ORDINALITY AS u(skill, n) LEFT JOIN skill s ON s.name = u.skill
				AND NOT EXISTS (SELECT FROM skill c WHERE c.code = u.skill)
			GROUP BY w.id) n
		WHERE n.id = w.id AND n.skills <> w.skills RETURNING w.badge`)
	if err != nil {
		return nil, nil, fmt.Errorf("store: save skills: %w", err)
	}
	if badges, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return nil, nil, fmt.Errorf("store: save skills: %w", err)
	}
	if rows, err = tx.Query(ctx, "SELECT DISTINCT u FROM worker w, unnest(w.skills) u WHERE w.active AND NOT EXISTS (SELECT FROM skill s WHERE s.code = u) ORDER BY u"); err != nil {
		return nil, nil, fmt.Errorf("store: save skills: %w", err)
	}
	if unknown, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return nil, nil, fmt.Errorf("store: save skills: %w", err)
	}
	return badges, unknown, nil
}
