-- SPDX-FileCopyrightText: The OneMap authors
-- SPDX-License-Identifier: Apache-2.0

-- Roads that travel times are worked out along. The set of a source is replaced
-- as a whole. Table road keeps what the made-up county draws.

-- +goose Up

CREATE TABLE road_segment (
  id      bigint PRIMARY KEY DEFAULT nextval('road_id_seq'), -- one number for both tables of roads: the map draws them as one layer
  source  text NOT NULL CHECK (length(source) BETWEEN 1 AND 40),
  ext_id  text NOT NULL CHECK (length(ext_id) BETWEEN 1 AND 100), -- the number its source gave it
  class   text NOT NULL CHECK (class ~ '^[a-z_]{1,40}$'),         -- of OpenStreetMap's key highway
  name    text NOT NULL DEFAULT '',
  oneway  boolean NOT NULL DEFAULT false,                         -- from the first point to the last
  kmh     real NOT NULL CHECK (kmh BETWEEN 1 AND 200),            -- speed driven
  geom    geometry(LineString, 4326) NOT NULL CHECK (ST_NPoints(geom) >= 2),
  UNIQUE (source, ext_id)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON road_segment TO onemap_app;
GRANT SELECT ON road_segment TO onemap_tiles;

-- +goose Down
-- There is no way back: restore a backup instead.
SELECT 1;
