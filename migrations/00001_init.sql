-- SPDX-FileCopyrightText: The OneMap authors
-- SPDX-License-Identifier: Apache-2.0

-- +goose Up

CREATE EXTENSION IF NOT EXISTS postgis;

-- Refuses any change to a table whose rows are evidence.
-- +goose StatementBegin
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = '42501';
END $$;
-- +goose StatementEnd

-- Small facts about this centre: its name, whether its data is the demo, the
-- progress of the demo load.
CREATE TABLE setting (
  key   text PRIMARY KEY,
  value jsonb NOT NULL
);

------------------------------------------------------------------ places

-- One imported, drafted or enacted boundary set of one county.
CREATE TABLE grid_version (
  id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  root_code  text NOT NULL,
  state      text NOT NULL DEFAULT 'draft' CHECK (state IN ('draft', 'enacted', 'retired')),
  made_up    boolean NOT NULL DEFAULT false,   -- drawn by a program, not surveyed
  note       text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT now(),
  enacted_at timestamptz,
  retired_at timestamptz,
  CHECK ((state = 'draft') = (enacted_at IS NULL)),
  CHECK ((state = 'retired') = (retired_at IS NOT NULL))
);
CREATE UNIQUE INDEX grid_version_one_enacted ON grid_version (root_code) WHERE state = 'enacted';

-- Grid numbers are drawn from here, in pre-order, and never reused.
CREATE SEQUENCE grid_number AS integer;

CREATE TABLE grid (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  version_id   integer NOT NULL REFERENCES grid_version ON DELETE CASCADE,
  level        smallint NOT NULL CHECK (level BETWEEN 1 AND 6),
  code         text NOT NULL CHECK (length(code) BETWEEN 1 AND 64),
  name         text NOT NULL,
  parent_id    bigint,
  parent_level smallint GENERATED ALWAYS AS (level - 1) STORED,
  no           integer UNIQUE,     -- null while the version is a draft
  last_no      integer,            -- the greatest number inside this subtree
  geom         geometry(MultiPolygon, 4326) NOT NULL
               CHECK (ST_IsValid(geom) AND NOT ST_IsEmpty(geom) AND ST_NDims(geom) = 2),
  label_pt     geometry(Point, 4326) GENERATED ALWAYS AS (ST_PointOnSurface(geom)) STORED,
  area_m2      double precision GENERATED ALWAYS AS (ST_Area(geom::geography)) STORED,
  UNIQUE (version_id, code),
  UNIQUE (id, level),
  FOREIGN KEY (parent_id, parent_level) REFERENCES grid (id, level) ON DELETE CASCADE,
  CHECK ((level = 1) = (parent_id IS NULL)),
  CHECK ((no IS NULL) = (last_no IS NULL)),
  CHECK (last_no >= no)
);
CREATE INDEX grid_geom ON grid USING gist (geom);
CREATE INDEX grid_parent ON grid (parent_id);
CREATE INDEX grid_code ON grid (code);

-- A named set of points or lines drawn beside the grid: roads, cameras.
CREATE TABLE road (
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  ext_id    text NOT NULL UNIQUE,
  name      text NOT NULL DEFAULT '',
  class     text NOT NULL CHECK (class IN ('trunk', 'primary', 'secondary', 'track')),
  oneway    boolean NOT NULL DEFAULT false,
  geom      geometry(LineString, 4326) NOT NULL
);
CREATE INDEX road_geom ON road USING gist (geom);

CREATE TABLE address (
  id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  ext_id  text NOT NULL UNIQUE,
  std     text NOT NULL,          -- the standard address as people read it
  grid_id bigint REFERENCES grid,
  geom    geometry(Point, 4326) NOT NULL
);

CREATE TABLE camera (
  id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  gb_code text NOT NULL UNIQUE CHECK (gb_code ~ '^[0-9]{20}$'),
  name    text NOT NULL,
  grid_id bigint REFERENCES grid,
  heading smallint CHECK (heading BETWEEN 0 AND 359),
  geom    geometry(Point, 4326) NOT NULL
);
CREATE INDEX camera_geom ON camera USING gist (geom);

------------------------------------------------------------------ people

CREATE TABLE department (
  id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  code text NOT NULL UNIQUE,
  name text NOT NULL UNIQUE
);

-- A grid worker. Names and phones of workers are personal: sealed.
CREATE TABLE worker (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY CHECK (id BETWEEN 1 AND 4294967295),
  badge        text NOT NULL UNIQUE,
  name_sealed  bytea,
  phone_sealed bytea,
  skills       text[] NOT NULL DEFAULT '{}',
  active       boolean NOT NULL DEFAULT true,
  ver          integer NOT NULL DEFAULT 1
);

-- Which grids a worker serves, and when: many to many.
CREATE TABLE worker_grid (
  worker_id  bigint NOT NULL REFERENCES worker,
  grid_code  text NOT NULL,
  role       text NOT NULL DEFAULT 'worker' CHECK (role IN ('worker', 'deputy', 'head')),
  valid_from date NOT NULL DEFAULT '2000-01-01',
  valid_to   date,
  PRIMARY KEY (worker_id, grid_code, valid_from)
);

-- A weekly duty hour: minutes after midnight, Asia/Shanghai; an end past 1440
-- runs into the next day.
CREATE TABLE rota (
  worker_id bigint NOT NULL REFERENCES worker,
  weekday   smallint NOT NULL CHECK (weekday BETWEEN 1 AND 7),  -- ISO: Monday is 1
  start_min smallint NOT NULL CHECK (start_min BETWEEN 0 AND 1439),
  end_min   smallint NOT NULL CHECK (end_min > start_min AND end_min <= start_min + 1440),
  PRIMARY KEY (worker_id, weekday, start_min)
);

CREATE TABLE device (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  unique_id  text NOT NULL UNIQUE CHECK (length(unique_id) BETWEEN 1 AND 128),
  speed_unit text NOT NULL DEFAULT 'kn' CHECK (speed_unit IN ('kn', 'm/s', 'km/h')),
  datum      text NOT NULL DEFAULT 'wgs84' CHECK (datum IN ('wgs84', 'gcj02', 'bd09', 'cgcs2000')),
  interval_s integer NOT NULL DEFAULT 60 CHECK (interval_s BETWEEN 1 AND 3600),
  state      text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'blocked'))
);

-- Who carries a device when. One device, one worker at a time.
CREATE TABLE device_binding (
  device_id  bigint NOT NULL REFERENCES device,
  worker_id  bigint NOT NULL REFERENCES worker,
  valid_from timestamptz NOT NULL,
  valid_to   timestamptz NOT NULL DEFAULT 'infinity',
  CHECK (valid_to > valid_from),
  PRIMARY KEY (device_id, valid_from)
);
CREATE EXTENSION IF NOT EXISTS btree_gist;
ALTER TABLE device_binding ADD CONSTRAINT device_binding_one_worker
  EXCLUDE USING gist (device_id WITH =, tstzrange(valid_from, valid_to) WITH &&);

-- Devices that nobody registered, kept apart until somebody does.
CREATE TABLE device_quarantine (
  unique_id text PRIMARY KEY CHECK (length(unique_id) BETWEEN 1 AND 128),
  first_at  timestamptz NOT NULL DEFAULT now(),
  last_at   timestamptz NOT NULL DEFAULT now(),
  fixes     bigint NOT NULL DEFAULT 1
);

------------------------------------------------------------------ positions

CREATE TABLE worker_last (
  worker_id  bigint PRIMARY KEY REFERENCES worker,
  device_id  bigint NOT NULL,
  fix_at     timestamptz NOT NULL,
  device_at  timestamptz,
  server_at  timestamptz NOT NULL,
  lon_e7     integer NOT NULL CHECK (lon_e7 BETWEEN -1800000000 AND 1800000000),
  lat_e7     integer NOT NULL CHECK (lat_e7 BETWEEN -900000000 AND 900000000),
  accuracy_m real,
  course_deg real,
  speed_ms   real,
  verdict    text NOT NULL DEFAULT ''
) WITH (fillfactor = 50);

-- Every fix kept. Places are WGS-84 in 1e-7 degree: a quarter of the bytes of a
-- geometry, and no GiST index (it costs two and a half times the insert).
CREATE TABLE worker_position (
  device_id  bigint NOT NULL,
  fix_at     timestamptz NOT NULL,
  worker_id  bigint NOT NULL,
  device_at  timestamptz,
  server_at  timestamptz NOT NULL,
  lon_e7     integer NOT NULL CHECK (lon_e7 BETWEEN -1800000000 AND 1800000000),
  lat_e7     integer NOT NULL CHECK (lat_e7 BETWEEN -900000000 AND 900000000),
  accuracy_m real,
  course_deg real,
  speed_ms   real,
  battery    smallint,
  mock       boolean NOT NULL DEFAULT false,
  verdict    text NOT NULL DEFAULT '',
  PRIMARY KEY (device_id, fix_at)
) PARTITION BY RANGE (fix_at);
CREATE TABLE worker_position_default PARTITION OF worker_position DEFAULT;

------------------------------------------------------------------ categories

CREATE TABLE category (
  code           text PRIMARY KEY CHECK (code ~ '^[0-9A-Za-z]{1,16}$'),
  parent_code    text REFERENCES category,
  name_zh        text NOT NULL,
  name_en        text NOT NULL,
  priority       smallint NOT NULL CHECK (priority BETWEEN 1 AND 4),
  ack_minutes    integer NOT NULL CHECK (ack_minutes > 0),
  sla_value      integer NOT NULL CHECK (sla_value > 0),
  sla_unit       text NOT NULL CHECK (sla_unit IN ('nh', 'wh', 'wd', 'sd', 'cd')),
  handling_level smallint NOT NULL CHECK (handling_level BETWEEN 1 AND 6),
  lead_dept      text NOT NULL,
  precision      text NOT NULL CHECK (precision IN ('exact', 'grid', 'none')),
  note           text NOT NULL DEFAULT ''
);

------------------------------------------------------------------ incidents

CREATE SEQUENCE incident_id;

CREATE TABLE incident (
  id              bigint PRIMARY KEY DEFAULT nextval('incident_id'),
  version         integer NOT NULL DEFAULT 1 CHECK (version > 0),
  state           text NOT NULL CHECK (state IN ('reported', 'accepted', 'refused', 'routed', 'dispatched',
                  'acknowledged', 'on_scene', 'resolved', 'verified', 'rework', 'closed', 'archived', 'returned',
                  'escalated', 'suspended', 'merged', 'void', 'transferred', 'reopened')),
  open            boolean GENERATED ALWAYS AS (state NOT IN ('refused', 'closed', 'archived', 'merged', 'void', 'transferred')) STORED,
  category        text NOT NULL,                    -- of category; see incident_refers
  priority        smallint NOT NULL CHECK (priority BETWEEN 1 AND 4),
  title           text NOT NULL CHECK (length(title) BETWEEN 1 AND 200),
  body            text NOT NULL DEFAULT '',
  source          text COLLATE "C" NOT NULL,   -- "C": compared as bytes, a third of the price
  external_id     text COLLATE "C",
  -- place: WGS-84 point, the raw pair as given with its datum, the grid of its time
  geom            geometry(Point, 4326) CHECK (geom IS NULL OR (NOT ST_IsEmpty(geom)
                  AND ST_X(geom) BETWEEN -180 AND 180 AND ST_Y(geom) BETWEEN -90 AND 90)),
  raw_lon         double precision,
  raw_lat         double precision,
  raw_datum       text CHECK (raw_datum IN ('wgs84', 'gcj02', 'bd09', 'cgcs2000')),
  address         text NOT NULL DEFAULT '',
  place           text NOT NULL CHECK (place IN ('in_grid', 'outside', 'none')),
  grid_id         bigint NOT NULL,                  -- the deepest known grid; the county's root when outside
  grid_no         integer NOT NULL,
  cell6           bigint,
  cell7           bigint,
  cell8           bigint,
  cell9           bigint,
  -- who owes it
  owner_level     smallint NOT NULL CHECK (owner_level BETWEEN 1 AND 6),
  department_id   bigint,
  -- stage times
  occurred_at     timestamptz,
  reported_at     timestamptz NOT NULL,
  received_at     timestamptz NOT NULL DEFAULT now(),
  ack_due         timestamptz,
  stage_due       timestamptz,
  due_rule        text NOT NULL DEFAULT '',
  acknowledged_at timestamptz,
  on_scene_at     timestamptz,
  resolved_at     timestamptz,
  closed_at       timestamptz,
  history         boolean NOT NULL DEFAULT false,    -- came in by a bulk import, not live
  CHECK ((geom IS NULL) = (place = 'none')),
  CHECK ((geom IS NULL) = (raw_lon IS NULL) AND (geom IS NULL) = (raw_lat IS NULL) AND (geom IS NULL) = (raw_datum IS NULL)),
  CHECK ((geom IS NULL) = (cell9 IS NULL)),
  CHECK ((state IN ('closed', 'archived')) <= (closed_at IS NOT NULL))
);
CREATE UNIQUE INDEX incident_external ON incident (source, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX incident_reported ON incident (reported_at DESC, id DESC);
CREATE INDEX incident_geom ON incident USING spgist (geom); -- points only: half the cost of gist to fill
CREATE INDEX incident_grid ON incident (grid_no, reported_at);
CREATE INDEX incident_open ON incident (stage_due) WHERE open;
-- When work on it last ended: finds what a day resolved or closed.
CREATE INDEX incident_ended ON incident (greatest(resolved_at, closed_at)) WHERE greatest(resolved_at, closed_at) IS NOT NULL;

-- What an incident refers to must be there. Looked at once a statement, for all
-- its rows: as foreign keys, looked at row by row, these three took half the time
-- of an import. What is referred to is never deleted (below).
-- +goose StatementBegin
CREATE FUNCTION incident_refers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM (SELECT DISTINCT category FROM fresh) f WHERE NOT EXISTS (SELECT FROM category c WHERE c.code = f.category)) THEN
    RAISE EXCEPTION 'incident of an unknown category' USING ERRCODE = '23503';
  END IF;
  IF EXISTS (SELECT FROM (SELECT DISTINCT grid_id, grid_no FROM fresh) f WHERE NOT EXISTS (SELECT FROM grid g WHERE g.id = f.grid_id AND g.no = f.grid_no)) THEN
    RAISE EXCEPTION 'incident in an unknown grid' USING ERRCODE = '23503';
  END IF;
  IF EXISTS (SELECT FROM (SELECT DISTINCT department_id FROM fresh WHERE department_id IS NOT NULL) f
             WHERE NOT EXISTS (SELECT FROM department d WHERE d.id = f.department_id)) THEN
    RAISE EXCEPTION 'incident of an unknown department' USING ERRCODE = '23503';
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER incident_refers_insert AFTER INSERT ON incident
  REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION incident_refers();
CREATE TRIGGER incident_refers_update AFTER UPDATE ON incident
  REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION incident_refers();
CREATE TRIGGER category_kept BEFORE DELETE ON category FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER department_kept BEFORE DELETE ON department FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER grid_kept BEFORE DELETE ON grid FOR EACH ROW WHEN (OLD.no IS NOT NULL) EXECUTE FUNCTION refuse_change();

-- Who reported it; personal, sealed, in a table of its own.
CREATE TABLE reporter (
  incident_id  bigint NOT NULL REFERENCES incident,
  n            smallint NOT NULL DEFAULT 1,
  name_sealed  bytea,
  phone_sealed bytea,
  phone_hash   bytea,
  PRIMARY KEY (incident_id, n)
);

-- Every act on an incident, append-only.
CREATE TABLE incident_journal (
  incident_id bigint NOT NULL,
  n           integer NOT NULL,
  version     integer NOT NULL,
  kind        text NOT NULL,
  from_state  text,
  to_state    text,
  actor       text NOT NULL,
  at          timestamptz NOT NULL,                 -- server time of the act
  device_at   timestamptz,                          -- the actor's own clock, where it told it
  reason      text NOT NULL DEFAULT '',
  data        jsonb,
  PRIMARY KEY (incident_id, n)
);
CREATE TRIGGER incident_journal_append_only BEFORE UPDATE OR DELETE ON incident_journal
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER incident_journal_no_truncate BEFORE TRUNCATE ON incident_journal
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

------------------------------------------------------------------ record

CREATE TABLE audit_log (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  actor      text NOT NULL,
  request_id text NOT NULL DEFAULT '',
  action     text NOT NULL,
  object     text NOT NULL DEFAULT '',
  reason     text NOT NULL DEFAULT '',
  data       jsonb
);
CREATE INDEX audit_log_at ON audit_log (at);
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE ON audit_log
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_log_no_truncate BEFORE TRUNCATE ON audit_log
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Answers already given, by idempotency key and caller.
CREATE TABLE idempotency (
  actor     text NOT NULL,
  key       text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
  request   bytea NOT NULL,             -- SHA-256 of route and body
  entity_id bigint,                     -- what the first call made; ids only
  at        timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (actor, key)
);
CREATE INDEX idempotency_at ON idempotency (at);

-- Changes waiting for their number. Written in the transaction of the change.
CREATE TABLE outbox (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind        text NOT NULL,
  entity_kind text NOT NULL,
  entity_id   text NOT NULL,
  ver         integer NOT NULL,
  live        text NOT NULL CHECK (live IN ('put', 'end', 'none')),
  occurred_at timestamptz NOT NULL,
  before_aud  jsonb,
  after_aud   jsonb,
  shared      jsonb,
  case_view   jsonb
);

-- The one gapless, ordered stream of events. Numbered by the sequencer alone.
CREATE TABLE feed (
  seq         bigint NOT NULL,
  at          timestamptz NOT NULL,
  kind        text NOT NULL,
  entity_kind text NOT NULL,
  entity_id   text NOT NULL,
  ver         integer NOT NULL,
  live        text NOT NULL,
  occurred_at timestamptz NOT NULL,
  before_aud  jsonb,
  after_aud   jsonb,
  shared      jsonb,
  case_view   jsonb,
  PRIMARY KEY (seq, at)
) PARTITION BY RANGE (at);
CREATE TABLE feed_default PARTITION OF feed DEFAULT;
CREATE INDEX feed_at ON feed USING brin (at);

CREATE TABLE feed_head (
  one      boolean PRIMARY KEY DEFAULT true CHECK (one),
  epoch    uuid NOT NULL,
  lineage  text NOT NULL,        -- system identifier and timeline the epoch belongs to
  seq      bigint NOT NULL,
  at       timestamptz NOT NULL
);

-- feed.State as of feed_head: the newest payload of every open entity.
CREATE TABLE live_state (
  kind      text NOT NULL,
  id        text NOT NULL,
  seq       bigint NOT NULL,
  ver       integer NOT NULL,
  audience  jsonb NOT NULL,
  shared    jsonb,
  case_view jsonb,
  PRIMARY KEY (kind, id)
) WITH (fillfactor = 70);

------------------------------------------------------------------ access

-- Machine tokens, walls' sessions and the first start's secret. Only hashes.
CREATE TABLE credential (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind       text NOT NULL CHECK (kind IN ('token', 'session', 'wall_code', 'first_secret')),
  hash       bytea NOT NULL UNIQUE,
  role       text NOT NULL,
  grid_code  text,                 -- null: every grid of the database's counties
  wall       text,
  note       text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  used_at    timestamptz,
  revoked_at timestamptz
);

------------------------------------------------------------------ jobs

-- One import of one file with one map; found again by its fingerprint, so that
-- the same command goes on where an earlier one stopped.
CREATE TABLE import_job (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind        text NOT NULL,
  fingerprint bytea NOT NULL,
  file_name   text NOT NULL,
  state       text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'failed')),
  rows_done   bigint NOT NULL DEFAULT 0,
  in_grid     bigint NOT NULL DEFAULT 0,
  outside     bigint NOT NULL DEFAULT 0,
  unlocated   bigint NOT NULL DEFAULT 0,
  repeated    bigint NOT NULL DEFAULT 0,
  rejected    bigint NOT NULL DEFAULT 0,
  started_at  timestamptz NOT NULL DEFAULT now(),
  updated_at  timestamptz NOT NULL DEFAULT now(),
  error       text NOT NULL DEFAULT '',
  UNIQUE (kind, fingerprint)
);

-- +goose Down
-- There is no way back: restore a backup instead.
SELECT 1;
