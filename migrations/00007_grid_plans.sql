-- SPDX-FileCopyrightText: The OneMap authors
-- SPDX-License-Identifier: Apache-2.0

-- Redraws of boundaries: what a draft is measured against, what an enacted version
-- took the place of, and enactments planned for a time.

-- +goose Up
ALTER TABLE grid_version
  ADD COLUMN base_id     integer REFERENCES grid_version,  -- in force when this set came in; null: none was
  ADD COLUMN replaced_id integer REFERENCES grid_version,  -- retired when this one was enacted; null: none was
  ADD COLUMN undoes_id   integer REFERENCES grid_version,  -- whose boundaries before it brings back
  ADD COLUMN numbered_at timestamptz,                      -- when its grids got their numbers
  ADD COLUMN faults      jsonb;                            -- faults of area, once they were looked for: its grids never change
UPDATE grid_version v SET base_id = (SELECT b.id FROM grid_version b WHERE b.root_code = v.root_code AND b.state = 'enacted') WHERE v.state = 'draft';
UPDATE grid_version v SET numbered_at = v.enacted_at,
  replaced_id = (SELECT max(b.id) FROM grid_version b WHERE b.root_code = v.root_code AND b.retired_at = v.enacted_at) WHERE v.state <> 'draft';

-- An enactment to come. It goes away in the transaction that carries it out, so
-- that it is carried out once; one that could not be stays and says why.
CREATE TABLE grid_plan (
  version_id    integer PRIMARY KEY REFERENCES grid_version ON DELETE CASCADE,
  enact_at      timestamptz NOT NULL,
  planned_by    text NOT NULL,
  planned_at    timestamptz NOT NULL,
  reason        text NOT NULL DEFAULT '',
  request_id    text NOT NULL DEFAULT '',
  tolerance     double precision NOT NULL,
  accept_faults boolean NOT NULL DEFAULT false,
  failed        text NOT NULL DEFAULT '',
  failed_at     timestamptz,
  CHECK ((failed = '') = (failed_at IS NULL))
);
CREATE INDEX grid_plan_due ON grid_plan (enact_at) WHERE failed_at IS NULL;
GRANT SELECT, INSERT, UPDATE, DELETE ON grid_plan TO onemap_app;

-- As before, and whoever enacts a version takes its turn: reports that come later
-- wait behind, however many they are, for the row alone would let them pass. The
-- first number is store.numberingLock.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION hold_grids(held integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(1735551332, held);
  PERFORM FROM grid_version WHERE id = held AND state = 'enacted' FOR SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the grids changed' USING ERRCODE = 'OM001';
  END IF;
END $$;
-- +goose StatementEnd

-- +goose Down
-- There is no way back: restore a backup instead.
SELECT 1;
