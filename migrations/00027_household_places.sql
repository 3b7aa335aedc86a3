-- SPDX-FileCopyrightText: The OneMap authors
-- SPDX-License-Identifier: Apache-2.0

-- +goose Up

-- A place inside the grid when the file came, in WGS-84: of a grid that was redrawn elsewhere
-- since, or of a code that another grid has by now, the number is no longer known. Numbers of
-- before have none and go by the area alone.
ALTER TABLE grid_households
  ADD COLUMN lon double precision,
  ADD COLUMN lat double precision,
  ADD CHECK ((lon IS NULL) = (lat IS NULL));

-- +goose Down
-- There is no way back: restore a backup instead.
SELECT 1;
