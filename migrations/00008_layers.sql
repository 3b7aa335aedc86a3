-- SPDX-FileCopyrightText: The OneMap authors
-- SPDX-License-Identifier: Apache-2.0

-- Named layers: sets of points, lines or polygons that a centre brings in, with how
-- they are drawn and who may see them. What opening a camera needs of it.

-- +goose Up

CREATE TABLE layer (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  code       text COLLATE "C" NOT NULL UNIQUE CHECK (code ~ '^[a-z][a-z0-9_-]{0,31}$'
             AND code NOT IN ('grids', 'labels', 'roads', 'cameras', 'incidents', 'hotspots', 'places', 'workers')),
  name       text NOT NULL CHECK (length(name) BETWEEN 1 AND 60),
  geometry   text NOT NULL CHECK (geometry IN ('point', 'line', 'polygon')),
  style      jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(style) = 'object' AND length(style::text) <= 1000),
  min_zoom   smallint NOT NULL DEFAULT 8 CHECK (min_zoom BETWEEN 0 AND 18),
  max_zoom   smallint NOT NULL DEFAULT 18 CHECK (max_zoom BETWEEN 0 AND 18),
  access     text[] NOT NULL DEFAULT '{signed_in}' CHECK (cardinality(access) BETWEEN 1 AND 11),
  root_code  text NOT NULL,                -- the county it is of: nobody else is told of it
  source     text NOT NULL DEFAULT '' CHECK (length(source) <= 100),
  version    bigint NOT NULL DEFAULT 1,    -- moves with its settings and its features: nodes read it again
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CHECK (min_zoom <= max_zoom)
);

-- In which grids a feature lies is not kept: each node works it out from the tree
-- in force.
CREATE TABLE layer_feature (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  layer_id    bigint NOT NULL REFERENCES layer,
  external_id text COLLATE "C" NOT NULL CHECK (length(external_id) BETWEEN 1 AND 128),
  name        text NOT NULL DEFAULT '' CHECK (length(name) <= 200),
  kind        text NOT NULL DEFAULT 'other' CHECK (kind IN ('centre', 'station', 'department', 'other')),
  duty_mode   text CHECK (duty_mode IN ('resident', 'rotating', 'on_call')),   -- 常驻, 轮驻, 随叫随驻
  props       jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(props) = 'object' AND length(props::text) <= 16000),
  geom        geometry(Geometry, 4326) NOT NULL
              CHECK (GeometryType(geom) IN ('POINT', 'LINESTRING', 'MULTILINESTRING', 'POLYGON', 'MULTIPOLYGON')
              AND ST_IsValid(geom) AND NOT ST_IsEmpty(geom) AND ST_NDims(geom) = 2
              AND ST_XMin(geom) >= -180 AND ST_XMax(geom) <= 180 AND ST_YMin(geom) >= -90 AND ST_YMax(geom) <= 90),
  raw_lon     double precision,            -- of a point, the pair as it was given
  raw_lat     double precision,
  raw_datum   text NOT NULL
              CHECK (raw_datum ~ '^(wgs84|gcj02|bd09|cgcs2000|EPSG:4(490|49[1-9]|5[0-4][0-9]|55[0-4])-(en|ne))$'),
  created_at  timestamptz NOT NULL DEFAULT now(),
  updated_at  timestamptz NOT NULL DEFAULT now(),
  UNIQUE (layer_id, external_id),
  CHECK ((GeometryType(geom) = 'POINT') = (raw_lon IS NOT NULL) AND (raw_lon IS NULL) = (raw_lat IS NULL))
);

ALTER TABLE camera
  ADD COLUMN fov       smallint CHECK (fov BETWEEN 1 AND 360),              -- field of view, degrees
  ADD COLUMN range_m   integer CHECK (range_m BETWEEN 1 AND 20000),         -- how far it sees, metres
  ADD COLUMN root_code text,                                                -- the county whose it is
  ADD COLUMN raw_lon   double precision,
  ADD COLUMN raw_lat   double precision,
  ADD COLUMN raw_datum text CHECK (raw_datum ~ '^(wgs84|gcj02|bd09|cgcs2000|EPSG:4(490|49[1-9]|5[0-4][0-9]|55[0-4])-(en|ne))$'),
  ADD CHECK ((raw_lon IS NULL) = (raw_lat IS NULL) AND (raw_lon IS NULL) = (raw_datum IS NULL));
UPDATE camera c SET root_code = v.root_code FROM grid g JOIN grid_version v ON v.id = g.version_id WHERE g.id = c.grid_id;

GRANT SELECT, INSERT, UPDATE, DELETE ON layer, layer_feature TO onemap_app;
GRANT USAGE, SELECT ON SEQUENCE layer_id_seq, layer_feature_id_seq TO onemap_app;

-- +goose Down
-- There is no way back: restore a backup instead.
SELECT 1;
