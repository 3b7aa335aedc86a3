-- SPDX-FileCopyrightText: The OneMap authors
-- SPDX-License-Identifier: Apache-2.0

-- +goose Up

-- Weekly bulletins 周报, as they were told: none changes and none goes. Another one of the
-- same week and grid names the one before it, which it corrects.
CREATE TABLE bulletin (
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  root_code text NOT NULL,                       -- county and code of the grid, as it was called then
  grid_code text NOT NULL,
  grid_no   integer NOT NULL,
  name      text NOT NULL,
  week      date NOT NULL CHECK (extract(isodow FROM week) = 1),
  corrects  bigint UNIQUE REFERENCES bulletin CHECK (corrects < id), -- each is corrected by one at most
  made_by   text NOT NULL,
  made_at   timestamptz NOT NULL,                -- the moment it is as of
  seq       bigint NOT NULL CHECK (seq >= 0),    -- and the feed's head that it holds
  body      bytea NOT NULL,                      -- JSON
  outside   bytea                                -- JSON: what may be told to everybody; null where nothing may
);
CREATE UNIQUE INDEX bulletin_first ON bulletin (root_code, grid_code, week) WHERE corrects IS NULL;
CREATE INDEX bulletin_grid ON bulletin (grid_no, id);
CREATE TRIGGER bulletin_append_only BEFORE UPDATE OR DELETE ON bulletin
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER bulletin_no_truncate BEFORE TRUNCATE ON bulletin
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

REVOKE ALL ON bulletin FROM onemap_app;
GRANT SELECT, INSERT ON bulletin TO onemap_app;
GRANT USAGE, SELECT ON SEQUENCE bulletin_id_seq TO onemap_app;

-- +goose Down
-- There is no way back: restore a backup instead.
SELECT 1;
