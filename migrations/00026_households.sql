-- SPDX-FileCopyrightText: The OneMap authors
-- SPDX-License-Identifier: Apache-2.0

-- +goose Up

-- How many households 户 live in a leaf grid, as a file told: what incidents are counted by.
-- The area is the grid's when the file came: of one that was redrawn since, the number is
-- no longer known.
CREATE TABLE grid_households (
  root_code  text NOT NULL,
  grid_code  text NOT NULL,
  households integer NOT NULL CHECK (households BETWEEN 0 AND 1000000),
  area_m2    double precision NOT NULL CHECK (area_m2 > 0),
  stored_at  timestamptz NOT NULL,
  PRIMARY KEY (root_code, grid_code)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON grid_households TO onemap_app;

-- +goose Down
-- There is no way back: restore a backup instead.
SELECT 1;
