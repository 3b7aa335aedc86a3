-- SPDX-FileCopyrightText: The OneMap authors
-- SPDX-License-Identifier: Apache-2.0

-- Whistles: an incident calls departments to its place.

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

-- +goose Down
-- There is no way back: restore a backup instead.
SELECT 1;
