-- SPDX-FileCopyrightText: The OneMap authors
-- SPDX-License-Identifier: Apache-2.0

-- +goose Up

-- How the place of an incident was found that was reported by its address alone:
-- method, id and name of the place, confidence, accuracy in metres. Null for a place
-- that was given, and for none.
ALTER TABLE incident ADD COLUMN found jsonb
  CHECK (found IS NULL OR geom IS NOT NULL AND jsonb_typeof(found) = 'object' AND found ->> 'method' IN ('address', 'relative', 'area')
    AND jsonb_typeof(found -> 'accuracy_m') = 'number' AND address <> '');

-- +goose Down
-- There is no way back: restore a backup instead.
SELECT 1;
