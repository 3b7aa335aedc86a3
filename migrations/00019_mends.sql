-- SPDX-FileCopyrightText: The OneMap authors
-- SPDX-License-Identifier: Apache-2.0

-- +goose Up

-- Cameras are seen in the grid at their place by the tree in force: which one that
-- was when they came in says nothing.
ALTER TABLE camera DROP COLUMN grid_id;

-- +goose Down
-- There is no way back: restore a backup instead.
SELECT 1;
