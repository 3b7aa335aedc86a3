-- SPDX-FileCopyrightText: The OneMap authors
-- SPDX-License-Identifier: Apache-2.0

-- Clocks: the centre's own calendar, limits of levels, offsets of the ladder, timers
-- and supervisions.

-- +goose Up

------------------------------------------------------------------ calendar

-- Days on which this centre works or rests whatever the notices say, or before there
-- is a notice.
CREATE TABLE calendar_day (
  day     date PRIMARY KEY CHECK (day BETWEEN '2000-01-01' AND '2100-12-31'),
  working boolean NOT NULL,
  note    text NOT NULL DEFAULT ''
);

-- Office hours from a day of the year until the next season: pairs of minutes after
-- midnight. No row: the program's summer and winter hours.
CREATE TABLE calendar_season (
  month smallint NOT NULL CHECK (month BETWEEN 1 AND 12),
  day   smallint NOT NULL CHECK (day BETWEEN 1 AND 31),
  hours jsonb NOT NULL CHECK (jsonb_typeof(hours) = 'array'),
  PRIMARY KEY (month, day)
);

-- The rest of the calendar, one row once it was changed. Revision counts the changes:
-- every due time names the one it was counted by.
CREATE TABLE calendar_rule (
  one          boolean PRIMARY KEY DEFAULT true CHECK (one),
  revision     integer NOT NULL CHECK (revision > 0),
  office_hours boolean NOT NULL DEFAULT true,     -- false: working days end at 24:00
  late_from    smallint NOT NULL DEFAULT 0 CHECK (late_from BETWEEN 0 AND 1440),   -- 0: 20:00
  late_until   smallint NOT NULL DEFAULT 0 CHECK (late_until BETWEEN 0 AND 1440),  -- 0: 12:00
  changed_at   timestamptz NOT NULL,
  changed_by   text NOT NULL
);

------------------------------------------------------------------ limits and ladder

-- How long a stage may take at a level, where neither the category nor an outside
-- letter says.
CREATE TABLE level_limit (
  level smallint PRIMARY KEY CHECK (level BETWEEN 1 AND 6),
  value integer NOT NULL CHECK (value > 0),
  unit  text NOT NULL CHECK (unit IN ('min', 'nh', 'wh', 'wd', 'sd', 'cd'))
);
INSERT INTO level_limit VALUES (1, 7, 'wd'), (2, 5, 'wd'), (3, 3, 'wd'), (4, 1, 'sd');

-- Where the rungs of the ladder stand, by priority: the reminder before the due time,
-- the supervision after it, the limit of its answer. 0: no reminder; at once.
CREATE TABLE ladder_offset (
  priority        smallint PRIMARY KEY CHECK (priority BETWEEN 1 AND 4),
  remind_value    integer NOT NULL CHECK (remind_value >= 0),
  remind_unit     text NOT NULL CHECK (remind_unit IN ('min', 'nh', 'wh', 'wd', 'cd')),
  supervise_value integer NOT NULL CHECK (supervise_value >= 0),
  supervise_unit  text NOT NULL CHECK (supervise_unit IN ('min', 'nh', 'wh', 'wd', 'cd')),
  reply_value     integer NOT NULL CHECK (reply_value > 0),
  reply_unit      text NOT NULL CHECK (reply_unit IN ('min', 'nh', 'wh', 'wd', 'cd'))
);
INSERT INTO ladder_offset VALUES (1, 15, 'min', 0, 'wd', 15, 'min'), (2, 1, 'wh', 0, 'wd', 1, 'wd'), (3, 4, 'wh', 0, 'wd', 1, 'wd'), (4, 1, 'wd', 0, 'wd', 1, 'wd');

-- What a stage's due time was counted by, and how it came to be where it is.
ALTER TABLE incident_stage
  ADD COLUMN limit_value integer CHECK (limit_value > 0),             -- null: not known
  ADD COLUMN limit_unit  text CHECK (limit_unit IN ('min', 'nh', 'wh', 'wd', 'sd', 'cd')),
  ADD COLUMN extensions  smallint NOT NULL DEFAULT 0 CHECK (extensions BETWEEN 0 AND 2),
  ADD COLUMN moves       smallint NOT NULL DEFAULT 0,                 -- how often it was put off in any way
  ADD COLUMN stood       boolean NOT NULL DEFAULT false,              -- suspended before, or taken over from the stage before
  ADD CHECK ((limit_value IS NULL) = (limit_unit IS NULL));

------------------------------------------------------------------ timers

-- The rungs of every stage's ladder. A rung fires once, in the transaction that marks
-- it done; held while the stage's clock stands still.
CREATE TABLE timer (
  incident_id bigint NOT NULL,
  stage       integer NOT NULL,
  rung        text NOT NULL CHECK (rung ~ '^[a-z]+([.][0-9]+)?$'),
  at          timestamptz NOT NULL,
  held        boolean NOT NULL DEFAULT false,
  done_at     timestamptz,
  did         text NOT NULL DEFAULT '',            -- kind of the journal entry it made; '' when it had become needless
  node        text NOT NULL DEFAULT '',            -- the server that fired it
  PRIMARY KEY (incident_id, stage, rung),
  CHECK ((done_at IS NULL) = (node = '')),
  CHECK (done_at IS NULL OR NOT held)
);
CREATE INDEX timer_due ON timer (at, incident_id) WHERE done_at IS NULL AND NOT held;
CREATE TRIGGER timer_fired_kept BEFORE UPDATE OR DELETE ON timer
  FOR EACH ROW WHEN (OLD.done_at IS NOT NULL) EXECUTE FUNCTION refuse_change();

------------------------------------------------------------------ supervisions

-- 督办: a level's duty officer asks the owner of a stage for an answer by a limit.
CREATE TABLE supervision (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  incident_id bigint NOT NULL REFERENCES incident,
  n           smallint NOT NULL CHECK (n > 0),
  stage       integer NOT NULL,
  owner_level smallint NOT NULL,                   -- who is asked
  level       smallint NOT NULL,                   -- whose duty officer asks
  officers    text[] NOT NULL DEFAULT '{}',        -- ids of the actors who had the duty when it was opened
  skipped     smallint[] NOT NULL DEFAULT '{}',    -- levels in between without a duty officer
  reason      text NOT NULL,
  opened_at   timestamptz NOT NULL,
  opened_by   text NOT NULL,
  reply_value integer NOT NULL CHECK (reply_value > 0),
  reply_unit  text NOT NULL CHECK (reply_unit IN ('min', 'nh', 'wh', 'wd', 'cd')),
  reply_due   timestamptz NOT NULL,
  reply       text,
  replied_at  timestamptz,
  replied_by  text,
  closed_at   timestamptz,
  outcome     text CHECK (outcome IN ('ended', 'moved_up')),  -- the stage it asked of ended; it moved up for want of an answer
  UNIQUE (incident_id, n),
  CHECK ((reply IS NULL) = (replied_at IS NULL) AND (reply IS NULL) = (replied_by IS NULL)),
  CHECK ((closed_at IS NULL) = (outcome IS NULL)),
  CHECK (level <= owner_level)
);
CREATE INDEX supervision_open ON supervision (reply_due, id) WHERE closed_at IS NULL;
CREATE INDEX supervision_newest ON supervision (opened_at DESC, id DESC);

GRANT SELECT, INSERT, UPDATE, DELETE ON calendar_day, calendar_season, calendar_rule, level_limit, ladder_offset, timer TO onemap_app;
GRANT SELECT, INSERT, UPDATE ON supervision TO onemap_app;
REVOKE DELETE, TRUNCATE ON supervision FROM onemap_app;
GRANT USAGE, SELECT ON SEQUENCE supervision_id_seq TO onemap_app;

-- +goose Down
-- There is no way back: restore a backup instead.
SELECT 1;
