-- SPDX-FileCopyrightText: The OneMap authors
-- SPDX-License-Identifier: Apache-2.0

-- +goose Up

-- Cameras are seen in the grid at their place by the tree in force: which one that
-- was when they came in says nothing.
ALTER TABLE camera DROP COLUMN grid_id;

-- How far off the place of an incident may lie that was found of its address alone:
-- all of found that a wall's role may read. What is open tells it from now on.
ALTER TABLE incident ADD COLUMN accuracy_m double precision GENERATED ALWAYS AS ((found ->> 'accuracy_m')::double precision) STORED;
GRANT SELECT (accuracy_m) ON incident TO onemap_tiles;
UPDATE live_state SET case_view = case_view || jsonb_build_object('accuracy_m', case_view #> '{found,accuracy_m}'),
  shared = shared || jsonb_build_object('accuracy_m', CASE WHEN shared ->> 'precision' = 'exact' THEN case_view #> '{found,accuracy_m}' END)
  WHERE kind = 'incident';

-- +goose Down
-- There is no way back: restore a backup instead.
SELECT 1;
