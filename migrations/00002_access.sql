-- SPDX-FileCopyrightText: The OneMap authors
-- SPDX-License-Identifier: Apache-2.0

-- Who may see what: accounts and grants, sessions, personal fields, the seal of
-- the audit log, and the roles of the database.

-- +goose Up

------------------------------------------------------------------ accounts

-- Somebody who signs in. It has no right of its own: see account_grant.
CREATE TABLE account (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  login        text COLLATE "C" NOT NULL UNIQUE CHECK (login ~ '^[a-z0-9][a-z0-9._-]{1,39}$'),
  worker_id    bigint REFERENCES worker,             -- whose own work and track it sees
  state        text NOT NULL DEFAULT 'invited' CHECK (state IN ('invited', 'active', 'disabled')),
  password     text,                                 -- argon2id, PHC form
  pin          text,                                 -- argon2id, PHC form: opens a locked session
  totp_sealed  bytea,                                -- key of the second factor
  totp_at      timestamptz,                          -- when its first code was right
  totp_step    bigint NOT NULL DEFAULT 0,            -- of the last code taken: none is taken twice
  epoch        integer NOT NULL DEFAULT 1,           -- sessions of an earlier epoch have ended
  created_at   timestamptz NOT NULL DEFAULT now(),
  created_by   text NOT NULL,
  root_code    text,                                 -- the county of who made it; null for somebody for every county
  signed_in_at timestamptz,
  disabled_by  text,                                 -- the role that disabled it; null at the machine
  CHECK (disabled_by IS NULL OR state = 'disabled'),
  CHECK ((state = 'invited') <= (password IS NULL)),
  CHECK ((state = 'active') <= (password IS NOT NULL))
);

-- What an account may do, over which grid. Proposed until everybody who has to
-- agree has agreed; several people for the roles that read much.
CREATE TABLE account_grant (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  account_id    bigint NOT NULL REFERENCES account,
  role          text NOT NULL CHECK (role IN ('system_admin', 'security_admin', 'auditor', 'county_leader', 'hall_operator',
                'dispatcher', 'town_operator', 'village_head', 'grid_worker', 'dept_handler')),
  grid_code     text,                                -- null: every county of the database
  root_code     text,                                -- the county grid_code is of: two counties may use one code
  department_id bigint REFERENCES department,        -- of a dept_handler
  sensitive     boolean NOT NULL DEFAULT false,      -- may handle categories whose place is never shown
  state         text NOT NULL DEFAULT 'proposed' CHECK (state IN ('proposed', 'active', 'revoked')),
  reason        text NOT NULL DEFAULT '',
  proposed_by   text NOT NULL,
  security_by   text,                                -- the security administrator who agreed
  system_by     text,                                -- the system administrator who agreed
  created_at    timestamptz NOT NULL DEFAULT now(),
  active_at     timestamptz,
  revoked_at    timestamptz,
  revoked_by    text,
  CHECK ((role = 'dept_handler') = (department_id IS NOT NULL)),
  CHECK ((grid_code IS NULL) = (root_code IS NULL)),
  CHECK ((state = 'active') <= (security_by IS NOT NULL)),
  CHECK ((state = 'active' AND role IN ('county_leader', 'auditor')) <= (system_by IS NOT NULL AND system_by <> security_by)),
  CHECK ((state = 'revoked') = (revoked_at IS NOT NULL))
);
CREATE UNIQUE INDEX account_grant_one_active ON account_grant (account_id) WHERE state = 'active';
CREATE UNIQUE INDEX account_grant_one_proposed ON account_grant (account_id) WHERE state = 'proposed';

-- Sessions belong to accounts; tokens and walls may be narrowed.
ALTER TABLE credential DROP CONSTRAINT credential_kind_check;
ALTER TABLE credential
  ADD CHECK (kind IN ('token', 'session', 'wall_code', 'first_secret', 'invite')),
  ADD COLUMN account_id    bigint REFERENCES account,
  ADD COLUMN epoch         integer,                  -- of the account when the session began
  ADD COLUMN root_code     text,                     -- the county grid_code is of
  ADD COLUMN department_id bigint REFERENCES department,
  ADD COLUMN worker_id     bigint REFERENCES worker,
  ADD COLUMN sensitive     boolean NOT NULL DEFAULT false,
  ADD COLUMN address       inet,                     -- the one address it may be used from; null for any
  ADD COLUMN addresses     cidr[],                   -- where a wall may stand; null for anywhere
  ADD COLUMN layers        text[],                   -- the layers of a wall; null for all
  ADD COLUMN seen_at       timestamptz,              -- last act of its holder
  ADD COLUMN locked_at     timestamptz,              -- the desk is locked: a PIN opens it
  ADD COLUMN pin_failures  smallint NOT NULL DEFAULT 0,
  ADD COLUMN created_by    text NOT NULL DEFAULT '';
UPDATE credential c SET root_code = (SELECT min(v.root_code) FROM grid g JOIN grid_version v ON v.id = g.version_id
  WHERE g.code = c.grid_code AND g.no IS NOT NULL) WHERE grid_code IS NOT NULL;
ALTER TABLE credential ADD CHECK ((grid_code IS NULL) = (root_code IS NULL));
CREATE INDEX credential_account ON credential (account_id) WHERE account_id IS NOT NULL;

------------------------------------------------------------------ incidents

-- Whose an incident is among the workers: who reported it in the field; later who
-- accepted an offer.
CREATE TABLE incident_worker (
  incident_id bigint NOT NULL REFERENCES incident,
  worker_id   bigint NOT NULL REFERENCES worker,
  relation    text NOT NULL CHECK (relation IN ('reported', 'lead', 'assist')),
  since       timestamptz NOT NULL DEFAULT now(),
  until       timestamptz,
  PRIMARY KEY (incident_id, worker_id, relation)
);
CREATE INDEX incident_worker_own ON incident_worker (worker_id, incident_id) WHERE until IS NULL;
CREATE INDEX incident_department ON incident (department_id, reported_at) WHERE department_id IS NOT NULL;

ALTER TABLE reporter ADD COLUMN id_number_sealed bytea;

-- A second net under the first: sealed fields of a reporter are read of one
-- incident at a time, which the transaction names. Without a name the read fails.
ALTER TABLE reporter ENABLE ROW LEVEL SECURITY;
CREATE POLICY reporter_insert ON reporter FOR INSERT WITH CHECK (true);
CREATE POLICY reporter_read ON reporter FOR SELECT USING (incident_id = current_setting('onemap.reporter_of')::bigint);

-- Events of sensitive incidents say so, to be kept from those who may not see any.
UPDATE outbox SET after_aud = after_aud || '{"sensitive": true}' WHERE entity_kind = 'incident' AND case_view ->> 'precision' = 'none';
UPDATE outbox SET before_aud = before_aud || '{"sensitive": true}' WHERE entity_kind = 'incident' AND case_view ->> 'precision' = 'none' AND before_aud IS NOT NULL;
UPDATE feed SET after_aud = after_aud || '{"sensitive": true}' WHERE entity_kind = 'incident' AND case_view ->> 'precision' = 'none';
UPDATE feed SET before_aud = before_aud || '{"sensitive": true}' WHERE entity_kind = 'incident' AND case_view ->> 'precision' = 'none' AND before_aud IS NOT NULL;
UPDATE live_state SET audience = audience || '{"sensitive": true}' WHERE kind = 'incident' AND case_view ->> 'precision' = 'none';

-- In the shared view all of them are one kind: limits and priority told them apart.
UPDATE outbox SET shared = shared || '{"category": "", "category_name": "不公开", "top": "", "top_name": "不公开", "priority": 3, "owner_level": 0,
  "ack_due": null, "stage_due": null, "acknowledged_at": null, "on_scene_at": null, "resolved_at": null}' WHERE entity_kind = 'incident' AND shared ->> 'precision' = 'none';
UPDATE feed SET shared = shared || '{"category": "", "category_name": "不公开", "top": "", "top_name": "不公开", "priority": 3, "owner_level": 0,
  "ack_due": null, "stage_due": null, "acknowledged_at": null, "on_scene_at": null, "resolved_at": null}' WHERE entity_kind = 'incident' AND shared ->> 'precision' = 'none';
UPDATE live_state SET shared = shared || '{"category": "", "category_name": "不公开", "top": "", "top_name": "不公开", "priority": 3, "owner_level": 0,
  "ack_due": null, "stage_due": null, "acknowledged_at": null, "on_scene_at": null, "resolved_at": null}' WHERE kind = 'incident' AND shared ->> 'precision' = 'none';

------------------------------------------------------------------ audit

CREATE INDEX audit_log_actor ON audit_log (actor, action, at);

-- The chain over the audit log: the n-th sealed row, and a keyed hash of that row
-- and the hash before it. The key is not in the database.
CREATE TABLE audit_seal (
  n        bigint PRIMARY KEY CHECK (n > 0),
  audit_id bigint NOT NULL UNIQUE,
  hash     bytea NOT NULL CHECK (length(hash) = 32),
  at       timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER audit_seal_append_only BEFORE UPDATE OR DELETE ON audit_seal
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_seal_no_truncate BEFORE TRUNCATE ON audit_seal
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

------------------------------------------------------------------ roles

-- Three roles beside the owner, made by the private cluster or by a superuser
-- (onemap doctor says how): the app does the daily work and owns nothing; tiles
-- serves walls and maps and reaches no personal column; the auditor reads the
-- audit log alone.
GRANT USAGE ON SCHEMA public TO onemap_app, onemap_tiles, onemap_auditor;
-- +goose StatementBegin
DO $$
DECLARE t record;
BEGIN
  FOR t IN SELECT c.oid::regclass AS name, c.relkind FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'S') AND pg_has_role(c.relowner, 'USAGE')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
  LOOP
    IF t.relkind = 'S' THEN
      EXECUTE format('GRANT USAGE, SELECT ON SEQUENCE %s TO onemap_app', t.name);
    ELSE
      EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO onemap_app', t.name);
    END IF;
  END LOOP;
END $$;
-- +goose StatementEnd
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO onemap_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO onemap_app;
REVOKE UPDATE, DELETE, TRUNCATE ON audit_log, audit_seal, incident_journal FROM onemap_app;
REVOKE INSERT, UPDATE, DELETE ON goose_db_version FROM onemap_app;

GRANT SELECT ON setting, grid_version, grid, road, address, camera, category, department, feed_head TO onemap_tiles;
GRANT SELECT (id, badge, skills, active, ver) ON worker TO onemap_tiles;
GRANT SELECT ON worker_grid, rota, worker_last TO onemap_tiles;
GRANT SELECT (id, version, state, open, category, priority, source, geom, place, grid_id, grid_no, cell6, cell7, cell8, cell9,
  owner_level, department_id, occurred_at, reported_at, received_at, ack_due, stage_due, acknowledged_at, on_scene_at,
  resolved_at, closed_at, history) ON incident TO onemap_tiles;
GRANT SELECT (seq, at, kind, entity_kind, entity_id, ver, live, occurred_at, before_aud, after_aud, shared) ON feed TO onemap_tiles;
GRANT SELECT (kind, id, seq, ver, audience, shared) ON live_state TO onemap_tiles;

GRANT SELECT ON audit_log, audit_seal TO onemap_auditor;

-- +goose Down
-- There is no way back: restore a backup instead.
SELECT 1;
