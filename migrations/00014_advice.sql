-- SPDX-FileCopyrightText: The OneMap authors
-- SPDX-License-Identifier: Apache-2.0

-- +goose Up

-- What advice on a category goes by. What is null is as for its top category, else as
-- dispatch.DefaultAdviceRule has it. docs/DISPATCH.md publishes the formula.
CREATE TABLE advice_rule (
  category   text PRIMARY KEY REFERENCES category,
  skills     text[] CHECK (cardinality(skills) <= 20 AND array_position(skills, NULL) IS NULL AND array_position(skills, '') IS NULL),
  -- the five weights: all or none
  w_travel   double precision CHECK (w_travel BETWEEN 0 AND 1000),
  w_grid     double precision CHECK (w_grid BETWEEN 0 AND 1000),
  w_load     double precision CHECK (w_load BETWEEN 0 AND 1000),
  w_fairness double precision CHECK (w_fairness BETWEEN 0 AND 1000),
  w_cover    double precision CHECK (w_cover BETWEEN 0 AND 1000),
  half_s     double precision CHECK (half_s BETWEEN 1 AND 86400),        -- a way of so many seconds is worth half
  radius_m   double precision CHECK (radius_m BETWEEN 1 AND 1000000),
  max_load   integer CHECK (max_load BETWEEN 1 AND 100),
  max_duty_s integer CHECK (max_duty_s BETWEEN 60 AND 604800),
  CHECK (num_nulls(w_travel, w_grid, w_load, w_fairness, w_cover) IN (0, 5)),
  CHECK (w_travel IS NULL OR w_travel + w_grid + w_load + w_fairness + w_cover > 0)
);

-- What was advised when somebody was chosen for an incident, and who was. Ids alone.
CREATE TABLE advice (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  incident_id bigint NOT NULL REFERENCES incident,
  category    text NOT NULL,                     -- the incident's at the time
  at          timestamptz NOT NULL,
  seq         bigint NOT NULL CHECK (seq >= 0),  -- the feed's head that it was as of
  actor       text NOT NULL,
  passed      integer NOT NULL CHECK (passed >= 0),    -- how many passed the filters
  measured    integer NOT NULL CHECK (measured BETWEEN 0 AND passed),
  by_road     integer NOT NULL CHECK (by_road BETWEEN 0 AND measured),
  ranked      jsonb NOT NULL CHECK (jsonb_typeof(ranked) = 'array' AND jsonb_array_length(ranked) <= measured),
  left_out    jsonb NOT NULL CHECK (jsonb_typeof(left_out) = 'object'), -- how many by reason
  chosen      bigint[] NOT NULL CHECK (cardinality(chosen) > 0 AND array_position(chosen, NULL) IS NULL),
  ranks       integer[] NOT NULL,                -- of each chosen; 0 for who was not advised
  overridden  boolean NOT NULL,                  -- others were chosen than those advised first
  CHECK (cardinality(ranks) = cardinality(chosen)),
  CHECK (NOT overridden OR measured > 0)
);
CREATE INDEX advice_at ON advice (at);
CREATE INDEX advice_incident ON advice (incident_id);
CREATE TRIGGER advice_append_only BEFORE UPDATE OR DELETE ON advice
  FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Whose work is open, without the many who only reported.
CREATE INDEX incident_worker_given ON incident_worker (incident_id, worker_id) WHERE until IS NULL AND relation <> 'reported';

GRANT SELECT, INSERT, UPDATE, DELETE ON advice_rule TO onemap_app;
REVOKE ALL ON advice FROM onemap_app;
GRANT SELECT, INSERT ON advice TO onemap_app;
GRANT USAGE, SELECT ON SEQUENCE advice_id_seq TO onemap_app;
GRANT SELECT (incident_id, category, at, measured, overridden) ON advice TO onemap_tiles;

-- +goose Down
-- There is no way back: restore a backup instead.
SELECT 1;
