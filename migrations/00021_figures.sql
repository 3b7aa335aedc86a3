-- SPDX-FileCopyrightText: The OneMap authors
-- SPDX-License-Identifier: Apache-2.0

-- What figures of a period are made of. docs/FIGURES.md has the definitions.

-- +goose Up

-- When a stage's clock stopped for good: the incident was resolved or put aside in it,
-- or handed on. Null while the stage runs.
ALTER TABLE incident_stage ADD COLUMN stopped_at timestamptz;
UPDATE incident_stage s SET stopped_at = coalesce((
    SELECT max(j.at) FROM incident_journal j WHERE j.incident_id = s.incident_id AND j.at >= s.started_at AND j.at <= s.ended_at
      AND j.to_state IN ('resolved', 'suspended') AND j.from_state <> j.to_state
      AND NOT EXISTS (SELECT FROM incident_journal k WHERE k.incident_id = j.incident_id AND k.n > j.n AND k.at < s.ended_at
        AND k.to_state <> k.from_state AND k.to_state NOT IN ('verified', 'closed', 'archived'))), s.ended_at)
  WHERE s.ended_at IS NOT NULL;

-- Limits that ended in a period, and incidents closed in one.
CREATE INDEX incident_due ON incident (stage_due) WHERE NOT open AND stage_due IS NOT NULL;
CREATE INDEX incident_stage_broken ON incident_stage (due) WHERE due < coalesce(stopped_at, ended_at);
CREATE INDEX incident_closed ON incident (closed_at) WHERE closed_at IS NOT NULL;

-- Walls and other shared screens are told the county's line.
GRANT SELECT (stage, resolved_level, reopened) ON incident TO onemap_tiles;
GRANT SELECT (incident_id, n, level, department_id, started_at, due, provisional, extensions, paused_at, stopped_at, ended_at) ON incident_stage TO onemap_tiles;
GRANT SELECT (closes_id, outcome) ON call_back TO onemap_tiles;

-- +goose Down
-- There is no way back: restore a backup instead.
SELECT 1;
