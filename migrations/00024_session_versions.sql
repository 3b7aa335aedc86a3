-- SPDX-FileCopyrightText: The OneMap authors
-- SPDX-License-Identifier: Apache-2.0

-- +goose Up

-- Who changed a joint session last, and how often it was: a change names the version that
-- its writer had read, so that two who fill the same seats do not overwrite each other.
ALTER TABLE joint_session
  ADD COLUMN ver        int NOT NULL DEFAULT 1 CHECK (ver > 0),
  ADD COLUMN changed_by text,
  ADD COLUMN changed_at timestamptz,
  ADD CHECK ((changed_by IS NULL) = (changed_at IS NULL));

-- Which one of its kind the first call made, where entity_id is the incident's.
ALTER TABLE idempotency ADD COLUMN n int;

-- +goose Down
-- There is no way back: restore a backup instead.
SELECT 1;
