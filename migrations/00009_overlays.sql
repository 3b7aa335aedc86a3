-- SPDX-FileCopyrightText: The OneMap authors
-- SPDX-License-Identifier: Apache-2.0

-- Overlays: police beats, specialist grids of departments and the like, beside the
-- grid tree. Their areas may lie over each other and across grids.

-- +goose Up

CREATE TABLE overlay (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  root_code     text NOT NULL,                    -- of the county it belongs to
  code          text COLLATE "C" NOT NULL CHECK (length(code) BETWEEN 1 AND 64),
  name          text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  kind          text NOT NULL CHECK (kind IN ('police', 'professional', 'other')),
  department_id bigint REFERENCES department,     -- whose areas they are; null for nobody's
  valid_from    date,                             -- its first day, of the county's calendar; null: always was
  valid_to      date,                             -- its last day; null: no end
  note          text NOT NULL DEFAULT '' CHECK (length(note) <= 1000),
  created_at    timestamptz NOT NULL DEFAULT now(),
  updated_at    timestamptz NOT NULL DEFAULT now(), -- its areas or what is said of it
  UNIQUE (root_code, code),
  CHECK (valid_from <= valid_to)
);

-- An area keeps its id while imports name its code again.
CREATE TABLE overlay_area (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  overlay_id bigint NOT NULL REFERENCES overlay ON DELETE CASCADE,
  code       text COLLATE "C" NOT NULL CHECK (length(code) BETWEEN 1 AND 64),
  name       text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  parent     text COLLATE "C",                    -- code of another area of the overlay
  geom       geometry(MultiPolygon, 4326) NOT NULL
             CHECK (ST_IsValid(geom) AND NOT ST_IsEmpty(geom) AND ST_NDims(geom) = 2),
  label_pt   geometry(Point, 4326) GENERATED ALWAYS AS (ST_PointOnSurface(geom)) STORED,
  UNIQUE (overlay_id, code),
  FOREIGN KEY (overlay_id, parent) REFERENCES overlay_area (overlay_id, code) DEFERRABLE INITIALLY DEFERRED,
  CHECK (parent <> code)
);
CREATE INDEX overlay_area_geom ON overlay_area USING gist (geom);

GRANT SELECT, INSERT, UPDATE, DELETE ON overlay, overlay_area TO onemap_app;
GRANT USAGE, SELECT ON SEQUENCE overlay_id_seq, overlay_area_id_seq TO onemap_app;

-- +goose Down
-- There is no way back: restore a backup instead.
SELECT 1;
