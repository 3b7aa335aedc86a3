-- SPDX-FileCopyrightText: The OneMap authors
-- SPDX-License-Identifier: Apache-2.0

-- Whistles: an incident calls departments to its place. Notices: a unit is told of an
-- area and answers.

-- +goose Up

CREATE TABLE whistle (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  incident_id bigint NOT NULL REFERENCES incident,
  ver         integer NOT NULL DEFAULT 1 CHECK (ver > 0),
  state       text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'met', 'ended')),
  made_by     text NOT NULL,
  made_at     timestamptz NOT NULL,
  due         timestamptz NOT NULL,              -- by when all have to be there
  radius_m    real NOT NULL CHECK (radius_m BETWEEN 20 AND 2000),
  note        text NOT NULL DEFAULT '',
  ended_at    timestamptz,
  reason      text NOT NULL DEFAULT '',          -- why it was ended by hand
  CHECK (due > made_at),
  CHECK ((state = 'running') = (ended_at IS NULL))
);
CREATE INDEX whistle_incident ON whistle (incident_id, id);
CREATE UNIQUE INDEX whistle_one_runs ON whistle (incident_id) WHERE state = 'running';

-- A department that is called. said_at is word alone; arrived_at is a fix near the place.
CREATE TABLE whistle_call (
  whistle_id    bigint NOT NULL REFERENCES whistle,
  department_id bigint NOT NULL REFERENCES department,
  lead          boolean NOT NULL,
  reported_at   timestamptz,
  said_at       timestamptz,
  arrived_at    timestamptz,
  fix           geometry(Point, 4326),            -- the last one that was sent to show it
  raw_lon       double precision,
  raw_lat       double precision,
  raw_datum     text,
  fix_at        timestamptz,                      -- when it was measured, by the phone's clock
  accuracy_m    real CHECK (accuracy_m >= 0),
  distance_m    real CHECK (distance_m >= 0),     -- of the fix from the incident
  late          boolean NOT NULL DEFAULT false,   -- not there at the limit, as the sweep found
  PRIMARY KEY (whistle_id, department_id),
  CHECK (arrived_at IS NULL OR (fix IS NOT NULL AND distance_m IS NOT NULL)),
  CHECK ((fix IS NULL) = (raw_datum IS NULL) AND (fix IS NULL) = (raw_lon IS NULL) AND (fix IS NULL) = (raw_lat IS NULL))
);
CREATE UNIQUE INDEX whistle_call_one_lead ON whistle_call (whistle_id) WHERE lead;
CREATE INDEX whistle_call_department ON whistle_call (department_id, whistle_id);
CREATE INDEX whistle_due ON whistle (due) WHERE state = 'running';

GRANT SELECT, INSERT, UPDATE ON whistle, whistle_call TO onemap_app;
REVOKE DELETE, TRUNCATE ON whistle, whistle_call FROM onemap_app;

-- Notices (预警提示单): what a unit is told of an area, to be read and answered by a time.
-- The unit is a department, or the desk of the grid unit_no at this level.
CREATE TABLE notice (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  ver           integer NOT NULL DEFAULT 1 CHECK (ver > 0),
  grid_id       bigint NOT NULL REFERENCES grid,    -- the area
  grid_no       integer NOT NULL,
  department_id bigint REFERENCES department,
  level         smallint CHECK (level BETWEEN 1 AND 6),
  unit_id       bigint REFERENCES grid,
  unit_no       integer,
  above_no      integer,                            -- the grid above the unit; null above a county
  title         text NOT NULL CHECK (length(title) BETWEEN 1 AND 200),
  body          text NOT NULL DEFAULT '',
  cell          bigint,                             -- the H3 cell whose count it was made from
  made_by       text NOT NULL,
  made_at       timestamptz NOT NULL,
  due           timestamptz NOT NULL,
  remind_at     timestamptz NOT NULL,               -- unread then, it is reminded of
  read_at       timestamptz,                        -- by the first of the unit; see notice_receipt
  reminded_at   timestamptz,
  replied_at    timestamptz,
  replied_by    text NOT NULL DEFAULT '',
  reply         text NOT NULL DEFAULT '',
  supervised_at timestamptz,                        -- no reply when it was due
  withdrawn_at  timestamptz,
  reason        text NOT NULL DEFAULT '',           -- why it was withdrawn
  CHECK (due > made_at AND remind_at > made_at AND remind_at <= due),
  CHECK ((department_id IS NULL) = (level IS NOT NULL) AND (level IS NULL) = (unit_no IS NULL) AND (level IS NULL) = (unit_id IS NULL)),
  CHECK ((replied_at IS NULL) = (reply = '')),
  CHECK (replied_at IS NULL OR withdrawn_at IS NULL)
);
CREATE INDEX notice_grid ON notice (grid_no, id);
CREATE INDEX notice_department ON notice (department_id, id) WHERE department_id IS NOT NULL;
CREATE INDEX notice_due ON notice (due);
CREATE INDEX notice_unread ON notice (remind_at) WHERE read_at IS NULL AND reminded_at IS NULL AND replied_at IS NULL AND withdrawn_at IS NULL;
CREATE INDEX notice_unanswered ON notice (due) WHERE supervised_at IS NULL AND replied_at IS NULL AND withdrawn_at IS NULL;

-- Who of the unit has opened it, once each.
CREATE TABLE notice_receipt (
  notice_id bigint NOT NULL REFERENCES notice,
  actor     text NOT NULL,
  read_at   timestamptz NOT NULL,
  PRIMARY KEY (notice_id, actor)
);

GRANT SELECT, INSERT, UPDATE ON notice TO onemap_app;
GRANT SELECT, INSERT ON notice_receipt TO onemap_app;
REVOKE DELETE, TRUNCATE ON notice FROM onemap_app;
REVOKE UPDATE, DELETE, TRUNCATE ON notice_receipt FROM onemap_app;
-- What the reply rate is counted from: walls show it.
GRANT SELECT (id, grid_no, department_id, level, unit_id, made_at, due, read_at, replied_at, supervised_at, withdrawn_at) ON notice TO onemap_tiles;

-- +goose Down
-- There is no way back: restore a backup instead.
SELECT 1;
