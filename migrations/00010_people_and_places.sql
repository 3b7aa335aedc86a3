-- SPDX-FileCopyrightText: The OneMap authors
-- SPDX-License-Identifier: Apache-2.0

-- +goose Up

-- How the place of an incident was found that was reported by its address alone:
-- method, id and name of the place, confidence, accuracy in metres. Null for a place
-- that was given, and for none.
ALTER TABLE incident ADD COLUMN found jsonb
  CHECK (found IS NULL OR geom IS NOT NULL AND jsonb_typeof(found) = 'object' AND found ->> 'method' IN ('address', 'relative', 'area')
    AND jsonb_typeof(found -> 'accuracy_m') = 'number' AND address <> '');

-- The county a worker's grid code is of: two counties may use one code. Null where
-- that was never said and both have it: then it is the grid of either, as before.
ALTER TABLE worker_grid ADD COLUMN root_code text;
UPDATE worker_grid wg SET root_code = one.root_code
  FROM (SELECT g.code, min(v.root_code) AS root_code FROM grid g JOIN grid_version v ON v.id = g.version_id
    WHERE g.no IS NOT NULL GROUP BY g.code HAVING count(DISTINCT v.root_code) = 1) one
  WHERE one.code = wg.grid_code;

-- The department a worker is of; not personal.
ALTER TABLE worker ADD COLUMN department_id bigint REFERENCES department;

-- +goose Down
-- There is no way back: restore a backup instead.
SELECT 1;
