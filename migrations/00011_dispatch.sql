-- SPDX-FileCopyrightText: The OneMap authors
-- SPDX-License-Identifier: Apache-2.0

-- The incident's whole machine: stages, and what the states carry with them.

-- +goose Up

ALTER TABLE incident
  ADD COLUMN stage          smallint NOT NULL DEFAULT 1 CHECK (stage > 0),  -- number of the running stage
  ADD COLUMN late           boolean NOT NULL DEFAULT false,                 -- its limit has passed, as the sweep found
  ADD COLUMN resolved_level smallint CHECK (resolved_level BETWEEN 1 AND 6),
  ADD COLUMN reopened       smallint NOT NULL DEFAULT 0 CHECK (reopened BETWEEN 0 AND 1),
  ADD COLUMN review_at      timestamptz,                                    -- when a suspended one is looked at again
  ADD COLUMN merged_into    bigint REFERENCES incident,
  ADD COLUMN first_asked    text NOT NULL DEFAULT '',                       -- who took it in, and keeps the call-back
  ADD CHECK (merged_into <> id);
UPDATE incident SET resolved_level = owner_level WHERE resolved_at IS NOT NULL;
UPDATE incident i SET first_asked = j.actor FROM incident_journal j WHERE j.incident_id = i.id AND j.n = 1 AND j.kind = 'report';
CREATE INDEX incident_late ON incident (grid_no) WHERE late AND open;
CREATE INDEX incident_first_asked ON incident (first_asked, id) WHERE first_asked <> '';
CREATE INDEX incident_merged ON incident (merged_into) WHERE merged_into IS NOT NULL;

-- What state may follow which: the machine of package dispatch, once more. A row that
-- comes in as history may have come any way.
-- +goose StatementBegin
CREATE FUNCTION incident_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT (CASE OLD.state
    WHEN 'reported' THEN NEW.state IN ('accepted', 'refused', 'resolved', 'merged', 'void')
    WHEN 'accepted' THEN NEW.state IN ('routed', 'escalated', 'merged', 'transferred', 'void')
    WHEN 'routed' THEN NEW.state IN ('dispatched', 'acknowledged', 'returned', 'escalated', 'suspended', 'merged', 'transferred', 'void')
    WHEN 'dispatched' THEN NEW.state IN ('routed', 'acknowledged', 'returned', 'escalated', 'transferred')
    WHEN 'acknowledged' THEN NEW.state IN ('on_scene', 'resolved', 'returned', 'routed', 'escalated', 'suspended', 'transferred')
    WHEN 'on_scene' THEN NEW.state IN ('resolved', 'returned', 'routed', 'escalated', 'suspended')
    WHEN 'resolved' THEN NEW.state IN ('verified', 'rework')
    WHEN 'verified' THEN NEW.state IN ('closed')
    WHEN 'rework' THEN NEW.state IN ('resolved', 'routed', 'escalated')
    WHEN 'closed' THEN NEW.state IN ('archived', 'reopened')
    WHEN 'returned' THEN NEW.state IN ('routed', 'merged', 'void')
    WHEN 'escalated' THEN NEW.state IN ('routed', 'merged', 'void')
    WHEN 'suspended' THEN NEW.state IN ('escalated', 'acknowledged', 'void')
    WHEN 'reopened' THEN NEW.state IN ('accepted', 'merged', 'void')
    ELSE false END) THEN
    RAISE EXCEPTION 'incident % cannot go from % to %', NEW.id, OLD.state, NEW.state USING ERRCODE = '23514', CONSTRAINT = 'incident_moves';
  END IF;
  RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER incident_moves BEFORE UPDATE OF state ON incident
  FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION incident_moves();
ALTER TABLE incident
  ADD CHECK ((state = 'merged') >= (merged_into IS NOT NULL)),
  ADD CHECK ((state = 'suspended') >= (review_at IS NOT NULL));

-- One owner's time with an incident. Its owner is whoever the running stage names.
CREATE TABLE incident_stage (
  incident_id   bigint NOT NULL REFERENCES incident,
  n             smallint NOT NULL CHECK (n > 0),
  level         smallint NOT NULL CHECK (level BETWEEN 1 AND 6),
  department_id bigint REFERENCES department,
  started_at    timestamptz NOT NULL,
  ack_due       timestamptz,
  due           timestamptz,
  due_rule      text NOT NULL DEFAULT '',
  provisional   boolean NOT NULL DEFAULT false,   -- due passed days of a year whose holidays are not known
  paused_at     timestamptz,
  ended_at      timestamptz,
  PRIMARY KEY (incident_id, n),
  CHECK (paused_at IS NULL OR ended_at IS NULL)
);
-- Never two owners.
CREATE UNIQUE INDEX incident_stage_one_runs ON incident_stage (incident_id) WHERE ended_at IS NULL;
INSERT INTO incident_stage (incident_id, n, level, department_id, started_at, ack_due, due, due_rule)
  SELECT id, 1, owner_level, department_id, reported_at, ack_due, stage_due, due_rule FROM incident WHERE open;

-- Never none: an open incident has a running stage, the one that its row names.
-- +goose StatementBegin
CREATE FUNCTION incident_owned() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM incident i WHERE i.id = NEW.id AND i.open
             AND NOT EXISTS (SELECT FROM incident_stage s WHERE s.incident_id = i.id AND s.n = i.stage AND s.level = i.owner_level AND s.ended_at IS NULL)) THEN
    RAISE EXCEPTION 'open incident % has no owner', NEW.id USING ERRCODE = '23514', CONSTRAINT = 'incident_owned';
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE CONSTRAINT TRIGGER incident_owned AFTER INSERT OR UPDATE OF state, stage, owner_level ON incident
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (NEW.open) EXECUTE FUNCTION incident_owned();

GRANT SELECT, INSERT, UPDATE ON incident_stage TO onemap_app;
REVOKE DELETE, TRUNCATE ON incident_stage FROM onemap_app;
GRANT SELECT (late) ON incident TO onemap_tiles;

-- +goose Down
-- There is no way back: restore a backup instead.
SELECT 1;
