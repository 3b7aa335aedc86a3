// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// shape is what stands behind a name in the list of rights: one table or
// sequence, or all partitions of a table. Its names are quoted where SQL needs it.
type shape struct {
	relations []string
	columns   map[string]string // quoted, by name
}

// repairs writes the SQL that sets rights as they were, to be run by the schema's
// owner; what only a superuser may do is a superuser's.
type repairs struct {
	owner, database string // quoted
	want            rights
	shapes          map[string]*shape // by the name of the relation
	triggers        map[string]string // the table of each trigger that refuses changes, quoted
	schema          fs.FS             // the migrations
}

// shapesSQL names relations as rightsSQL does.
const shapesSQL = `
SELECT CASE WHEN c.relispartition THEN p.relname || '/*' ELSE c.relname::text END, quote_ident(c.relname), a.attname::text, quote_ident(a.attname)
  FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class p ON p.oid = i.inhparent
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  ORDER BY 1, 2, a.attnum`

func readRepairs(ctx context.Context, tx pgx.Tx, want rights, schema fs.FS) (*repairs, error) {
	p := &repairs{want: want, shapes: map[string]*shape{}, triggers: map[string]string{}, schema: schema}
	err := tx.QueryRow(ctx, "SELECT quote_ident(current_user), quote_ident(current_database())").Scan(&p.owner, &p.database)
	if err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, shapesSQL)
	if err != nil {
		return nil, err
	}
	var name, relation, column, quoted string
	_, err = pgx.ForEachRow(rows, []any{&name, &relation, &column, &quoted}, func() error {
		s := p.shapes[name]
		if s == nil {
			s = &shape{columns: map[string]string{}}
			p.shapes[name] = s
		}
		if !slices.Contains(s.relations, relation) {
			s.relations = append(s.relations, relation)
		}
		s.columns[column] = quoted
		return nil
	})
	if err != nil {
		return nil, err
	}
	rows, err = tx.Query(ctx, `SELECT t.tgname::text, quote_ident(c.relname) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
		WHERE c.relnamespace = 'public'::regnamespace AND t.tgfoid = to_regproc('public.refuse_change') AND NOT c.relispartition`)
	if err != nil {
		return nil, err
	}
	_, err = pgx.ForEachRow(rows, []any{&name, &relation}, func() error {
		p.triggers[name] = relation
		return nil
	})
	return p, err
}

// gone tells that the table or column of a right is not there, so that no GRANT
// brings the right back.
func (p *repairs) gone(r right) bool {
	name := relation(r.object)
	if name == "" {
		return false
	}
	s := p.shapes[name]
	if s == nil {
		return true
	}
	column, ok := strings.CutPrefix(r.object, "column "+name+".")
	return ok && s.columns[column] == ""
}

// parcel is what one statement gives or takes: privileges on one object, each
// with the columns it is for; none for all of the object.
type parcel struct {
	object  string // of the list of rights; a table's also for its columns
	columns map[string][]string
}

func parcels(rs []right) (out []*parcel) {
	byObject := map[string]*parcel{}
	for _, r := range rs {
		object, column := r.object, ""
		if name := relation(object); strings.HasPrefix(object, "column ") {
			column = strings.TrimPrefix(object, "column "+name+".")
			object = "table " + name
		}
		c := byObject[object]
		if c == nil {
			c = &parcel{object, map[string][]string{}}
			byObject[object] = c
			out = append(out, c)
		}
		list := c.columns[r.privilege]
		if column != "" {
			list = append(list, column)
		}
		c.columns[r.privilege] = list
	}
	return out
}

// privileges is the list of a statement. A privilege on every column is one on
// the table, when whole is set any is.
func (c *parcel) privileges(s *shape, whole bool) string {
	var out []string
	for _, p := range slices.Sorted(maps.Keys(c.columns)) {
		if list := c.columns[p]; !whole && len(list) > 0 && len(list) < len(s.columns) {
			quoted := make([]string, len(list))
			for i, name := range list {
				quoted[i] = s.columns[name]
			}
			p += " (" + strings.Join(quoted, ", ") + ")"
		}
		out = append(out, p)
	}
	return strings.Join(out, ", ")
}

// on are the objects of a parcel as a GRANT names them, and what comes before it.
func (p *repairs) on(c *parcel) (before string, on []string) {
	kind, rest, _ := strings.Cut(c.object, " ")
	switch kind {
	case "table":
		return "", p.shapes[rest].relations
	case "sequence":
		return "", []string{"SEQUENCE " + p.shapes[rest].relations[0]}
	case "schema":
		return "", []string{"SCHEMA " + rest}
	case "database":
		return "", []string{"DATABASE " + p.database}
	case "tables", "sequences":
		return "ALTER DEFAULT PRIVILEGES IN SCHEMA public ", []string{strings.ToUpper(kind)}
	}
	if _, ok := c.columns["EXECUTE"]; ok {
		return "ALTER DEFAULT PRIVILEGES IN SCHEMA public ", []string{"FUNCTIONS"}
	}
	return "ALTER DEFAULT PRIVILEGES IN SCHEMA public ", []string{"TYPES"}
}

func (p *repairs) shapeOf(c *parcel) *shape {
	return p.shapes[relation(c.object)]
}

// give is the SQL that gives a role what it lacks.
func (p *repairs) give(role string, rs []right) (sql []string, err error) {
	for _, c := range parcels(rs) {
		_, name, _ := strings.Cut(c.object, " ")
		switch {
		case role != everyone:
			before, on := p.on(c)
			for _, o := range on {
				sql = append(sql, before+"GRANT "+c.privileges(p.shapeOf(c), false)+" ON "+o+" TO "+role)
			}
		case strings.HasPrefix(c.object, "trigger "):
			more, err := p.arm(name)
			if err != nil {
				return nil, err
			}
			sql = append(sql, more...)
		default:
			for _, o := range p.shapeOf(c).relations {
				sql = append(sql, "ALTER TABLE "+o+" ENABLE ROW LEVEL SECURITY")
			}
		}
	}
	return sql, nil
}

// arm makes a trigger refuse changes again: as its migration makes it when it is
// not there.
func (p *repairs) arm(trigger string) ([]string, error) {
	made, table, err := p.madeBy(trigger)
	if err != nil {
		return nil, err
	}
	var sql []string
	if p.triggers[trigger] != table {
		sql = append(sql, strings.Replace(made, "CREATE TRIGGER", "CREATE OR REPLACE TRIGGER", 1))
	}
	return append(sql, "ALTER TABLE "+table+" ENABLE TRIGGER "+trigger), nil
}

var triggerOn = regexp.MustCompile(` ON (\w+) `)

// madeBy finds the statement that makes a trigger, and its table.
func (p *repairs) madeBy(trigger string) (sql, table string, err error) {
	statement := regexp.MustCompile(`(?m)^CREATE TRIGGER ` + regexp.QuoteMeta(trigger) + `\s[^;]*`)
	names, err := fs.Glob(p.schema, "*.sql")
	if err != nil {
		return "", "", err
	}
	for _, name := range names {
		text, err := fs.ReadFile(p.schema, name)
		if err != nil {
			return "", "", err
		}
		if found := statement.Find(text); found != nil {
			sql = strings.Join(strings.Fields(string(found)), " ")
		}
	}
	on := triggerOn.FindStringSubmatch(sql)
	if on == nil {
		return "", "", fmt.Errorf("no migration makes the trigger %s", trigger)
	}
	return sql, on[1], nil
}

// take is the SQL that takes from a role what it must not have. A column's right
// may come from the whole table's, or from what PUBLIC may do: both are taken, and
// what the role needs of it is given back.
func (p *repairs) take(role string, rs []right) (sql []string, err error) {
	for _, c := range parcels(rs) {
		_, name, _ := strings.Cut(c.object, " ")
		held := slices.Sorted(maps.Keys(c.columns))
		switch {
		case c.object == "role":
			sql = append(sql, "ALTER ROLE "+role+" NO"+strings.Join(held, " NO"))
			continue
		case held[0] == "MEMBER":
			sql = append(sql, "REVOKE "+pgx.Identifier{name}.Sanitize()+" FROM "+role)
			continue
		case held[0] == "OWNER":
			sql = append(sql, "REASSIGN OWNED BY "+role+" TO "+p.owner)
			continue
		}
		before, on := p.on(c)
		for _, o := range on {
			sql = append(sql, before+"REVOKE "+c.privileges(p.shapeOf(c), true)+" ON "+o+" FROM "+role+", PUBLIC")
		}
		back, err := p.give(role, p.needed(role, c))
		if err != nil {
			return nil, err
		}
		sql = append(sql, back...)
	}
	return sql, nil
}

// needed are the rights of the list that taking a parcel takes too.
func (p *repairs) needed(role string, c *parcel) (out []right) {
	name := relation(c.object)
	for _, object := range slices.Sorted(maps.Keys(p.want[role])) {
		if object != c.object && (name == "" || relation(object) != name) {
			continue
		}
		for _, privilege := range slices.Sorted(maps.Keys(p.want[role][object])) {
			r := right{role, object, privilege}
			if _, taken := c.columns[privilege]; taken && !p.gone(r) {
				out = append(out, r)
			}
		}
	}
	return out
}
