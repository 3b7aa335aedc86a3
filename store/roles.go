// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	_ "embed" // the rights every role has
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// The database roles of daily work. Each has fewer rights than the owner of the
// schema, who opens the connection and steps down; the migrations say which.
const (
	AppRole     = "onemap_app"     // requests: no change of the schema or of what is evidence
	TilesRole   = "onemap_tiles"   // walls and maps: no personal column, no case view
	AuditorRole = "onemap_auditor" // the audit log alone
)

var lesserRoles = []string{AppRole, TilesRole, AuditorRole}

// ErrRoles means that the lesser roles are missing and the user of the database
// may not make them.
var ErrRoles = errors.New("the database lacks the roles of daily work")

// makeRoles makes the missing roles and lets the current user step down to them.
// Another node may be doing the same.
const makeRoles = `DO $$
DECLARE lesser text;
  member text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END;
BEGIN
  FOREACH lesser IN ARRAY ARRAY['` + AppRole + `', '` + TilesRole + `', '` + AuditorRole + `'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = lesser) THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I', lesser);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
      END;
    END IF;
    IF NOT pg_has_role(lesser, member) THEN
      EXECUTE format('GRANT %I TO %I', lesser, current_user);
    END IF;
  END LOOP;
END $$`

// EnsureRoles makes sure that the lesser roles are there and that the user of url
// may step down to them, as the migrations and the server need it. Where the user
// may not make them the error is ErrRoles and says what a superuser has to run.
func EnsureRoles(ctx context.Context, url string) error {
	db, err := Open(ctx, url, Options{MaxConns: 1})
	if err != nil {
		return err
	}
	defer db.Close()
	var user string
	var missing []string
	err = db.Pool.QueryRow(ctx, `SELECT quote_ident(current_user),
		ARRAY(SELECT r FROM unnest($1::text[]) r WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r))`,
		lesserRoles).Scan(&user, &missing)
	if err != nil {
		return fmt.Errorf("store: database roles: %w", err)
	}
	err = db.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(rolesLock)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, makeRoles)
		return err
	})
	var pe *pgconn.PgError
	if errors.As(err, &pe) && pe.Code == "42501" {
		return fmt.Errorf("%w: let a superuser run once: %s", ErrRoles, rolesAdvice(user, missing))
	}
	if err != nil {
		return fmt.Errorf("store: database roles: %w", err)
	}
	return nil
}

// rolesLock keeps nodes from making the roles at once.
const rolesLock = 0x6f6e65726f6c

// rolesAdvice is what a superuser runs for the user, whose name is quoted.
func rolesAdvice(user string, missing []string) string {
	var sql strings.Builder
	for _, r := range missing {
		sql.WriteString("CREATE ROLE ")
		sql.WriteString(r + "; ")
	}
	sql.WriteString("GRANT " + strings.Join(lesserRoles, ", ") + " TO " + user + ";")
	return sql.String()
}

// wantRights is the golden list of what each lesser role may do, a line a role
// and object. It is written by the test of the rights with -update.
//
//go:embed privileges.txt
var wantRights string

// rights are the privileges held: role, object, privilege. Objects are tables
// ("table camera"), all partitions of one ("table feed/*"), columns ("column
// camera.name"), sequences, and a few by name ("schema public", "tables to
// come"). The role everyone stands for what holds for all: row security and the
// triggers that refuse a change.
type rights map[string]map[string]map[string]bool

const everyone = "everyone"

func (r rights) add(role, object, privilege string) {
	if r[role] == nil {
		r[role] = map[string]map[string]bool{}
	}
	if r[role][object] == nil {
		r[role][object] = map[string]bool{}
	}
	r[role][object][privilege] = true
}

// String is the form of the golden file: "role object: PRIVILEGE PRIVILEGE".
func (r rights) String() string {
	var b strings.Builder
	for _, role := range slices.Sorted(maps.Keys(r)) {
		for _, object := range slices.Sorted(maps.Keys(r[role])) {
			fmt.Fprintf(&b, "%s %s: %s\n", role, object, strings.Join(slices.Sorted(maps.Keys(r[role][object])), " "))
		}
	}
	return b.String()
}

func parseRights(text string) rights {
	out := rights{}
	for line := range strings.Lines(text) {
		role, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		object, privileges, _ := strings.Cut(rest, ": ")
		for _, p := range strings.Fields(privileges) {
			out.add(role, object, p)
		}
	}
	return out
}

// without lists what r holds and other does not, as "PRIVILEGE object", in order.
func (r rights) without(other rights, role string) (out []right) {
	for _, object := range slices.Sorted(maps.Keys(r[role])) {
		for _, p := range slices.Sorted(maps.Keys(r[role][object])) {
			if !other[role][object][p] {
				out = append(out, right{role, object, p})
			}
		}
	}
	return out
}

// Rights lists what the lesser roles may do in the public schema of this
// database, in the form of the golden file.
func (db *DB) Rights(ctx context.Context) (string, error) {
	var out rights
	err := db.readOnly(ctx, func(tx pgx.Tx) (err error) {
		out, err = readRights(ctx, tx)
		return err
	})
	return out.String(), err
}

// right is one privilege of one role.
type right struct{ role, object, privilege string }

func readRights(ctx context.Context, tx pgx.Tx) (rights, error) {
	rows, err := tx.Query(ctx, rightsSQL, lesserRoles)
	if err != nil {
		return nil, fmt.Errorf("store: rights of the roles: %w", err)
	}
	out := rights{}
	var r right
	_, err = pgx.ForEachRow(rows, []any{&r.role, &r.object, &r.privilege}, func() error {
		out.add(r.role, r.object, r.privilege)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("store: rights of the roles: %w", err)
	}
	return out, nil
}

// rightsSQL asks the database's own functions, which see through memberships and
// what PUBLIC may do. Tables of extensions are not ours. A temporary table is its
// session's own and goes with it: the batches of fixes and of imports have one, and
// whoever gave it to another owner would take it from a session at work.
const rightsSQL = `
WITH lesser AS (SELECT oid, rolname::text AS role FROM pg_roles WHERE rolname = ANY ($1)),
rel AS (
  SELECT c.oid, c.relkind, c.relrowsecurity, CASE WHEN c.relispartition THEN p.relname || '/*' ELSE c.relname::text END AS name
  FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class p ON p.oid = i.inhparent
  WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
)
SELECT role, 'table ' || name, p FROM lesser l, rel, unnest('{DELETE,TRUNCATE,TRIGGER}'::text[]) p
  WHERE CASE WHEN relkind <> 'S' THEN has_table_privilege(l.oid, rel.oid, p) END
UNION
SELECT role, 'column ' || name || '.' || a.attname, p FROM lesser l, rel JOIN pg_attribute a ON a.attrelid = rel.oid AND a.attnum > 0 AND NOT a.attisdropped,
    unnest('{SELECT,INSERT,UPDATE,REFERENCES}'::text[]) p
  WHERE CASE WHEN relkind <> 'S' THEN has_column_privilege(l.oid, rel.oid, a.attnum, p) END
UNION
SELECT role, 'sequence ' || name, p FROM lesser l, rel, unnest('{USAGE,SELECT,UPDATE}'::text[]) p
  WHERE CASE WHEN relkind = 'S' THEN has_sequence_privilege(l.oid, rel.oid, p) END
UNION
SELECT role, 'schema public', p FROM lesser l, unnest('{USAGE,CREATE}'::text[]) p WHERE has_schema_privilege(l.oid, 'public', p)
UNION
SELECT role, 'database', 'CREATE' FROM lesser l WHERE has_database_privilege(l.oid, current_database(), 'CREATE')
UNION
SELECT role, CASE d.defaclobjtype WHEN 'r' THEN 'tables to come' WHEN 'S' THEN 'sequences to come' ELSE 'others to come' END, x.privilege_type
  FROM pg_default_acl d, aclexplode(d.defaclacl) x JOIN lesser l ON l.oid = x.grantee
  WHERE d.defaclnamespace IN (0, 'public'::regnamespace)
UNION
SELECT role, 'role ' || g.rolname, 'MEMBER' FROM lesser l JOIN pg_auth_members m ON m.member = l.oid JOIN pg_roles g ON g.oid = m.roleid
UNION
SELECT role, 'role', a.what FROM lesser l JOIN pg_roles r ON r.oid = l.oid,
    LATERAL (VALUES (r.rolsuper, 'SUPERUSER'), (r.rolbypassrls, 'BYPASSRLS'), (r.rolcreaterole, 'CREATEROLE'),
      (r.rolcreatedb, 'CREATEDB'), (r.rolreplication, 'REPLICATION')) a (has, what) WHERE a.has
UNION
SELECT role, 'objects', 'OWNER' FROM lesser l WHERE EXISTS (SELECT FROM pg_shdepend s
  WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = l.oid AND s.deptype = 'o'
    AND s.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
    AND NOT EXISTS (SELECT FROM pg_class c WHERE s.classid = 'pg_class'::regclass AND c.oid = s.objid AND c.relpersistence = 't'))
UNION
SELECT 'everyone', 'table ' || name, 'ROW-SECURITY' FROM rel WHERE relrowsecurity
UNION
SELECT 'everyone', 'trigger ' || t.tgname, 'REFUSES' FROM rel JOIN pg_trigger t ON t.tgrelid = rel.oid
  WHERE t.tgfoid = to_regproc('public.refuse_change') AND t.tgenabled IN ('O', 'A')`

// examineRights holds the lesser roles against the golden list.
func (e Examination) examineRights(ctx context.Context, tx pgx.Tx) (out []Finding, err error) {
	var user string
	var missing, closed []string
	err = tx.QueryRow(ctx, `SELECT quote_ident(current_user),
		ARRAY(SELECT r FROM unnest($1::text[]) r WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r)),
		ARRAY(SELECT rolname::text FROM pg_roles WHERE rolname = ANY ($1)
			AND NOT pg_has_role(oid, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END))`,
		lesserRoles).Scan(&user, &missing, &closed)
	if err != nil {
		return nil, err
	}
	// What follows names the rights that a new role lacks, to be run after this.
	if len(missing) > 0 {
		out = append(out, Finding{Fault, "roles are missing: " + strings.Join(missing, ", "), "let a superuser run " + rolesAdvice(user, missing)})
	} else if len(closed) > 0 {
		out = append(out, Finding{Fault, user + " may not step down to " + strings.Join(closed, ", "), "let a superuser run " + rolesAdvice(user, nil)})
	}
	have, err := readRights(ctx, tx)
	if err != nil {
		return nil, err
	}
	want := parseRights(wantRights)
	mend, err := readRepairs(ctx, tx, want, e.Schema)
	if err != nil {
		return nil, err
	}
	var gone []right
	for _, role := range slices.Sorted(maps.Keys(want)) {
		found, lost, err := mend.compare(role, have)
		if err != nil {
			return nil, err
		}
		out, gone = append(out, found...), append(gone, lost...)
	}
	if len(gone) > 0 {
		out = append(out, Finding{Fault, "the database lacks: " + examples(gone, func(r right) string { return r.object }), "restore a backup into a new database: onemap restore"})
	}
	return out, nil
}

// compare says what a role lacks and what it has beyond the list. gone are rights
// to what is not there at all.
func (p *repairs) compare(role string, have rights) (out []Finding, gone []right, err error) {
	lacks, extra := p.want.without(have, role), have.without(p.want, role)
	lacks = slices.DeleteFunc(lacks, func(r right) bool {
		if !p.gone(r) {
			return false
		}
		gone = append(gone, r)
		return true
	})
	ours := map[string]bool{}
	for object := range p.want[AppRole] {
		ours[relation(object)] = true
	}
	extra = slices.DeleteFunc(extra, func(r right) bool {
		// More row security than the list wants does no harm, and tables that
		// somebody put beside ours are the app's by default.
		return role == everyone || role == AppRole && !ours[relation(r.object)]
	})
	if len(lacks) > 0 {
		sql, err := p.give(role, lacks)
		if err != nil {
			return nil, nil, err
		}
		what := role + " lacks rights: "
		if role == everyone {
			what = "what keeps the records from change is off: "
		}
		out = append(out, Finding{Fault, what + examples(lacks, right.String), statements(sql)})
	}
	if len(extra) > 0 {
		sql, err := p.take(role, extra)
		if err != nil {
			return nil, nil, err
		}
		out = append(out, Finding{Fault, role + " has rights it must not have: " + examples(extra, right.String), statements(sql)})
	}
	if len(out) == 0 && len(gone) == 0 && role != everyone {
		out = append(out, Finding{Good, role + " has exactly its rights", ""})
	}
	return out, gone, nil
}

// statements can be run as they stand.
func statements(sql []string) string { return strings.Join(sql, "; ") + ";" }

// relation is the table or sequence that an object is or belongs to; "" for an
// object of another kind.
func relation(object string) string {
	switch kind, rest, _ := strings.Cut(object, " "); kind {
	case "table", "column", "sequence":
		name, _, _ := strings.Cut(rest, ".")
		return name
	}
	return ""
}

// examples are the first few of many, each once.
func examples(rs []right, f func(right) string) string {
	var out []string
	for _, r := range rs {
		if s := f(r); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	if more := len(out) - 3; more > 0 {
		out = append(out[:3], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(out, "; ")
}

// String is a right as a person reads it.
func (r right) String() string {
	switch r.privilege {
	case "ROW-SECURITY":
		return "row security of the " + r.object
	case "REFUSES":
		return r.object
	}
	return r.privilege + " " + r.object
}
