-- SPDX-FileCopyrightText: The OneMap authors
-- SPDX-License-Identifier: Apache-2.0

-- Patrols (巡查计划): what is visited how often. Visits (走访): one target of a patrol in
-- one period, how it was proved, or that it was missed (漏巡).

-- +goose Up

CREATE TABLE patrol (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  ver           integer NOT NULL DEFAULT 1 CHECK (ver > 0),
  name          text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  root_code     text NOT NULL,
  grid_code     text NOT NULL CHECK (length(grid_code) BETWEEN 1 AND 64),
  grid_no       integer NOT NULL,                -- in force when it was made, or last redrawn
  targets       text NOT NULL CHECK (targets IN ('grid', 'grids', 'layer', 'points')),
  level         smallint CHECK (level BETWEEN 1 AND 6), -- of grids: which below; null for those without a grid below
  layer_code    text,                            -- of layer: its points in the grid
  department_id bigint REFERENCES department,    -- whose people visit; null: the workers who serve there
  rhythm        text NOT NULL CHECK (rhythm IN ('daily', 'weekly', 'half_monthly', 'monthly', 'before_holiday')),
  every         smallint NOT NULL CHECK (every BETWEEN 0 AND 52),
  weekdays      smallint[] NOT NULL DEFAULT '{}' CHECK (weekdays <@ '{1,2,3,4,5,6,7}'),
  days          text NOT NULL CHECK (days IN ('all', 'working', 'rest')),
  ahead         smallint NOT NULL CHECK (ahead BETWEEN 0 AND 30),
  from_min      smallint NOT NULL CHECK (from_min >= 0),
  to_min        smallint NOT NULL CHECK (to_min <= 1440 AND to_min > from_min),
  first_day     date NOT NULL,
  last_day      date CHECK (last_day >= first_day),
  radius_m      real NOT NULL CHECK (radius_m BETWEEN 20 AND 2000),
  stay_min      smallint NOT NULL CHECK (stay_min BETWEEN 0 AND 480),
  made_by       text NOT NULL,
  made_at       timestamptz NOT NULL,
  ended_by      text,
  ended_at      timestamptz,
  reason        text NOT NULL DEFAULT '',
  opened_to     date NOT NULL,                   -- every period that begins on that day or before has its visits
  CHECK ((rhythm = 'weekly') = (every > 0)),
  CHECK ((rhythm = 'before_holiday') = (ahead > 0)),
  CHECK ((targets = 'layer') = (layer_code IS NOT NULL)),
  CHECK (targets = 'grids' OR level IS NULL),
  CHECK ((ended_at IS NULL) = (ended_by IS NULL) AND (ended_at IS NULL) = (reason = ''))
);
CREATE INDEX patrol_grid ON patrol (grid_no, id);
CREATE INDEX patrol_runs ON patrol (opened_to) WHERE ended_at IS NULL;

-- The places of a patrol of points, as they were given.
CREATE TABLE patrol_point (
  patrol_id bigint NOT NULL REFERENCES patrol,
  n         smallint NOT NULL CHECK (n > 0),
  name      text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  geom      geometry(Point, 4326) NOT NULL CHECK (NOT ST_IsEmpty(geom)),
  raw_lon   double precision NOT NULL,
  raw_lat   double precision NOT NULL,
  raw_datum text NOT NULL,
  PRIMARY KEY (patrol_id, n)
);

-- A visit keeps the terms it was opened with. seen is by fixes, said by word: neither
-- makes the other.
CREATE TABLE visit (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  patrol_id     bigint NOT NULL REFERENCES patrol,
  target        text COLLATE "C" NOT NULL CHECK (length(target) BETWEEN 1 AND 140),
  name          text NOT NULL,
  grid_id       bigint NOT NULL REFERENCES grid,
  grid_no       integer NOT NULL,
  geom          geometry(Point, 4326) CHECK (NOT ST_IsEmpty(geom)), -- null: the grid itself
  department_id bigint REFERENCES department,
  rhythm        text NOT NULL,
  period        date NOT NULL,                   -- its key among the periods of the rhythm
  windows       tstzmultirange NOT NULL CHECK (NOT isempty(windows)),
  opens_at      timestamptz NOT NULL,
  closes_at     timestamptz NOT NULL,
  radius_m      real NOT NULL,
  stay_min      smallint NOT NULL,
  state         text NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'done', 'missed', 'late', 'void')),
  looked        boolean NOT NULL DEFAULT false,  -- at all fixes since it opens
  seen_from     timestamptz,
  seen_at       timestamptz,
  seen_by       bigint REFERENCES worker,
  seen_m        real CHECK (seen_m >= 0),        -- of a point: how far off the second fix was
  said_at       timestamptz,                     -- when it was, as its speaker says
  said_got_at   timestamptz,                     -- when the word came
  said_by       text,
  said_worker   bigint REFERENCES worker,
  said_text     text,
  said_there    boolean,                         -- a fresh fix put the speaker there; null: nobody knows
  said_m        real CHECK (said_m >= 0),
  missed_at     timestamptz,
  void_at       timestamptz,
  UNIQUE (patrol_id, target, rhythm, period),
  CHECK (closes_at > opens_at AND opens_at = lower(windows) AND closes_at = upper(windows)),
  CHECK ((seen_at IS NULL) = (seen_by IS NULL) AND (seen_at IS NULL) = (seen_from IS NULL)),
  CHECK ((said_at IS NULL) = (said_by IS NULL) AND (said_at IS NULL) = (said_text IS NULL) AND (said_at IS NULL) = (said_got_at IS NULL)),
  CHECK (state = CASE WHEN seen_at IS NOT NULL OR said_at < closes_at THEN 'done' WHEN void_at IS NOT NULL THEN 'void'
         WHEN said_at IS NOT NULL THEN 'late' WHEN missed_at IS NOT NULL THEN 'missed' ELSE 'due' END)
);
CREATE INDEX visit_patrol ON visit (patrol_id, id);
CREATE INDEX visit_grid ON visit (grid_no, id);
CREATE INDEX visit_place ON visit (grid_id, id);
CREATE INDEX visit_department ON visit (department_id, id) WHERE department_id IS NOT NULL;
CREATE INDEX visit_state ON visit (state, id) WHERE state IN ('due', 'missed');
CREATE INDEX visit_unseen ON visit (closes_at) WHERE seen_at IS NULL AND void_at IS NULL;

-- How far fixes have been looked at for visits, by when they were received.
CREATE TABLE patrol_look (
  one      boolean PRIMARY KEY DEFAULT true CHECK (one),
  received timestamptz NOT NULL
);
INSERT INTO patrol_look (received) VALUES ('2000-01-01');

-- Fixes that came late are found by when they came.
CREATE INDEX worker_position_late ON worker_position (server_at) WHERE verdict = 'late';

GRANT SELECT, INSERT, UPDATE ON patrol, visit TO onemap_app;
GRANT SELECT, INSERT ON patrol_point TO onemap_app;
GRANT SELECT, UPDATE ON patrol_look TO onemap_app;
REVOKE DELETE, TRUNCATE ON patrol, visit FROM onemap_app;
REVOKE UPDATE, DELETE, TRUNCATE ON patrol_point FROM onemap_app;
REVOKE INSERT, DELETE, TRUNCATE ON patrol_look FROM onemap_app;

-- +goose Down
-- There is no way back: restore a backup instead.
SELECT 1;
