-- SPDX-FileCopyrightText: The OneMap authors
-- SPDX-License-Identifier: Apache-2.0

-- Shifts, skills, duty officers, liaison officers, contacts below the grid and
-- hand-overs of a desk.

-- +goose Up

-- What workers may be sent for. While it is empty a roster may name any skill.
CREATE TABLE skill (
  code text COLLATE "C" PRIMARY KEY CHECK (length(code) BETWEEN 1 AND 40),
  name text NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 40)
);

-- One actual turn of duty, from started_at to ends_at: until somebody ends it that
-- is the planned end, so that it ends by itself whatever runs or does not.
CREATE TABLE shift (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  worker_id   bigint NOT NULL REFERENCES worker,
  began_by    text NOT NULL CHECK (began_by IN ('page', 'device')),
  device_id   bigint REFERENCES device,       -- signed on for this shift
  started_at  timestamptz NOT NULL,
  planned_end timestamptz NOT NULL,
  ends_at     timestamptz NOT NULL,
  ended_how   text CHECK (ended_how IN ('hand', 'dispatcher', 'removed')),  -- null: runs, or ended as planned
  started_by  text NOT NULL,
  ended_by    text,
  CHECK (started_at < planned_end AND ends_at BETWEEN started_at AND planned_end),
  CHECK ((began_by = 'device') = (device_id IS NOT NULL)),
  CHECK ((ended_how IS NULL) = (ended_by IS NULL)),
  CHECK (ended_how IS NOT NULL OR ends_at = planned_end),
  CONSTRAINT shift_one_at_a_time EXCLUDE USING gist (worker_id WITH =, tstzrange(started_at, ends_at) WITH &&)
);
CREATE INDEX shift_ends ON shift (ends_at);

-- A binding that a shift made ends with it.
ALTER TABLE device_binding ADD COLUMN shift_id bigint REFERENCES shift;
CREATE INDEX device_binding_shift ON device_binding (shift_id) WHERE shift_id IS NOT NULL;
CREATE INDEX device_binding_worker ON device_binding (worker_id);
CREATE INDEX worker_grid_code ON worker_grid (grid_code);

-- Who answers for a grid, at any level, from when to when.
CREATE TABLE duty_officer (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  root_code  text NOT NULL,
  grid_code  text NOT NULL CHECK (length(grid_code) BETWEEN 1 AND 64),
  account_id bigint REFERENCES account,
  worker_id  bigint REFERENCES worker,
  from_at    timestamptz NOT NULL,
  to_at      timestamptz NOT NULL,
  made_by    text NOT NULL,
  made_at    timestamptz NOT NULL,
  CHECK (num_nonnulls(account_id, worker_id) = 1),
  CHECK (to_at > from_at AND to_at < from_at + interval '367 days'),
  CONSTRAINT duty_officer_one EXCLUDE USING gist (root_code WITH =, grid_code WITH =, tstzrange(from_at, to_at) WITH &&)
);

-- When a department has its people in the centre of a county. days are ISO weekdays,
-- of a rotating one.
CREATE TABLE department_duty (
  department_id bigint NOT NULL REFERENCES department,
  root_code     text NOT NULL,
  mode          text NOT NULL CHECK (mode IN ('resident', 'rotating', 'on_call')),   -- 常驻, 轮驻, 随叫随驻
  days          smallint[] NOT NULL DEFAULT '{}' CHECK (days <@ '{1,2,3,4,5,6,7}'),
  PRIMARY KEY (department_id, root_code),
  CHECK ((mode = 'rotating') = (cardinality(days) > 0))
);

-- Whom a department of a county is reached by. Without one nothing is routed to it.
CREATE TABLE department_liaison (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  department_id bigint NOT NULL REFERENCES department,
  root_code     text NOT NULL,
  account_id    bigint REFERENCES account,
  worker_id     bigint REFERENCES worker,
  role          text NOT NULL CHECK (role IN ('liaison', 'backup')),
  valid_from    date NOT NULL,
  valid_to      date,                          -- no longer on this day; null: no end
  made_by       text NOT NULL,
  made_at       timestamptz NOT NULL,
  CHECK (num_nonnulls(account_id, worker_id) = 1),
  CHECK (valid_to >= valid_from),              -- equal: taken back before it began
  CONSTRAINT department_liaison_one EXCLUDE USING gist
    (department_id WITH =, root_code WITH =, role WITH =, daterange(valid_from, valid_to) WITH &&)
);

-- Who heads a unit or a building of a grid: no account, no track. Name and phone are
-- personal: sealed.
CREATE TABLE contact (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  root_code    text NOT NULL,
  grid_code    text NOT NULL,
  role         text NOT NULL CHECK (role IN ('unit_head', 'building_head')),   -- 单元长, 楼栋长
  building     text NOT NULL DEFAULT '' CHECK (length(building) <= 100),
  unit         text NOT NULL DEFAULT '' CHECK (length(unit) <= 100),
  external_id  text COLLATE "C" NOT NULL DEFAULT '' CHECK (length(external_id) <= 64), -- tells two of one place apart
  name_sealed  bytea,
  phone_sealed bytea,
  updated_at   timestamptz NOT NULL,
  UNIQUE (root_code, grid_code, role, building, unit, external_id)
);

-- What one turn of a county's desk tells the next.
CREATE TABLE handover (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  root_code   text NOT NULL,
  note        text NOT NULL CHECK (length(note) BETWEEN 1 AND 5000),
  incidents   bigint[] NOT NULL,               -- P1 and P2 that were open
  made_by     text NOT NULL,
  made_at     timestamptz NOT NULL,
  accepted_by text,
  accepted_at timestamptz,
  CHECK ((accepted_by IS NULL) = (accepted_at IS NULL)),
  CHECK (accepted_by <> made_by)
);
CREATE INDEX handover_made ON handover (root_code, made_at DESC);

GRANT SELECT, INSERT, UPDATE, DELETE ON skill, shift, duty_officer, department_duty, department_liaison, contact, handover TO onemap_app;
GRANT USAGE, SELECT ON SEQUENCE shift_id_seq, duty_officer_id_seq, department_liaison_id_seq, contact_id_seq, handover_id_seq TO onemap_app;
REVOKE DELETE ON shift, handover FROM onemap_app;

-- +goose Down
-- There is no way back: restore a backup instead.
SELECT 1;
