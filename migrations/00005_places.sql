-- SPDX-FileCopyrightText: The OneMap authors
-- SPDX-License-Identifier: Apache-2.0

-- Places by name: what the address search knows.

-- +goose Up

-- A place or an address as a source gave it. Places and organisations only: no
-- column is for a person. In which grid it lies is not kept: the index works it out
-- from the tree in force.
CREATE TABLE place (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  source      text COLLATE "C" NOT NULL CHECK (length(source) BETWEEN 1 AND 64),
  external_id text COLLATE "C" NOT NULL CHECK (length(external_id) BETWEEN 1 AND 128),
  kind        text NOT NULL CHECK (kind IN ('place', 'address')),
  name        text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),   -- of an address the address itself
  aliases     text[] NOT NULL DEFAULT '{}',
  address     text NOT NULL DEFAULT '' CHECK (length(address) <= 300),
  class       text NOT NULL DEFAULT '' CHECK (length(class) <= 200),  -- as the source classes it
  admin_code  text NOT NULL DEFAULT '' CHECK (length(admin_code) <= 64),
  root_code   text NOT NULL,             -- the county whose import brought it: sees it where it is outside every grid
  geom        geometry(Point, 4326) NOT NULL CHECK (NOT ST_IsEmpty(geom)
              AND ST_X(geom) BETWEEN -180 AND 180 AND ST_Y(geom) BETWEEN -90 AND 90),
  raw_lon     double precision NOT NULL,
  raw_lat     double precision NOT NULL,
  raw_datum   text NOT NULL
              CHECK (raw_datum ~ '^(wgs84|gcj02|bd09|cgcs2000|EPSG:4(490|49[1-9]|5[0-4][0-9]|55[0-4])-(en|ne))$'),
  created_at  timestamptz NOT NULL DEFAULT now(),
  updated_at  timestamptz NOT NULL DEFAULT now(),
  UNIQUE (root_code, kind, source, external_id)
);

-- What the demo brought as its address library moves over; a row that the checks
-- above would refuse stays behind.
INSERT INTO place (source, external_id, kind, name, root_code, geom, raw_lon, raw_lat, raw_datum)
SELECT 'demo', a.ext_id, 'address', left(a.std, 200), coalesce(v.root_code, (SELECT min(root_code) FROM grid_version)),
  a.geom, ST_X(a.geom), ST_Y(a.geom), 'wgs84'
FROM address a LEFT JOIN grid g ON g.id = a.grid_id LEFT JOIN grid_version v ON v.id = g.version_id
WHERE EXISTS (SELECT FROM grid_version) AND a.std <> '' AND length(a.ext_id) BETWEEN 1 AND 128
  AND NOT ST_IsEmpty(a.geom) AND ST_X(a.geom) BETWEEN -180 AND 180 AND ST_Y(a.geom) BETWEEN -90 AND 90;
DROP TABLE address;

GRANT SELECT, INSERT, UPDATE, DELETE ON place TO onemap_app;
GRANT USAGE, SELECT ON SEQUENCE place_id_seq TO onemap_app;

-- +goose Down
-- There is no way back: restore a backup instead.
SELECT 1;
