-- SPDX-FileCopyrightText: The OneMap authors
-- SPDX-License-Identifier: Apache-2.0

-- Roll calls and messages to the workers inside something marked on the map.

-- +goose Up

CREATE TABLE roll_call (
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  ver       integer NOT NULL DEFAULT 1,
  grid_no   integer NOT NULL,                -- the caller's grid: who sees it may see the roll call
  called_by text NOT NULL,                   -- actor; never a name
  role      text NOT NULL,                   -- what its workers are told of the caller
  note      text NOT NULL DEFAULT '' CHECK (length(note) <= 500),
  marked    jsonb NOT NULL,                  -- what was marked, in WGS-84
  called_at timestamptz NOT NULL,
  closes_at timestamptz NOT NULL CHECK (closes_at > called_at),
  closed_at timestamptz CHECK (closed_at >= closes_at)
);
CREATE INDEX roll_call_open ON roll_call (closes_at) WHERE closed_at IS NULL;

-- Who was inside and on duty when it was called, and when each answered.
CREATE TABLE roll_call_worker (
  roll_call_id bigint NOT NULL REFERENCES roll_call,
  worker_id    bigint NOT NULL REFERENCES worker,
  answered_at  timestamptz,
  device_at    timestamptz,                  -- the phone's own clock, where it was told
  PRIMARY KEY (roll_call_id, worker_id),
  CHECK (device_at IS NULL OR answered_at IS NOT NULL)
);
CREATE INDEX roll_call_worker_own ON roll_call_worker (worker_id, roll_call_id);

CREATE TABLE message (
  id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  grid_no integer NOT NULL,                  -- of the sender, as for roll calls
  sent_by text NOT NULL,
  role    text NOT NULL,
  text    text NOT NULL CHECK (length(text) BETWEEN 1 AND 1000),
  marked  jsonb NOT NULL,
  sent_at timestamptz NOT NULL
);

-- Receipts, as the phone says them.
CREATE TABLE message_worker (
  message_id   bigint NOT NULL REFERENCES message,
  worker_id    bigint NOT NULL REFERENCES worker,
  delivered_at timestamptz,
  seen_at      timestamptz,
  PRIMARY KEY (message_id, worker_id),
  CHECK (seen_at IS NULL OR delivered_at IS NOT NULL)
);
CREATE INDEX message_worker_own ON message_worker (worker_id, message_id);

REVOKE ALL ON roll_call, roll_call_worker, message, message_worker FROM onemap_app;
GRANT SELECT, INSERT ON roll_call, roll_call_worker, message, message_worker TO onemap_app;
GRANT UPDATE (ver, closed_at) ON roll_call TO onemap_app;
GRANT UPDATE (answered_at, device_at) ON roll_call_worker TO onemap_app;
GRANT UPDATE (delivered_at, seen_at) ON message_worker TO onemap_app;
GRANT USAGE, SELECT ON SEQUENCE roll_call_id_seq, message_id_seq TO onemap_app;

-- +goose Down
-- There is no way back: restore a backup instead.
SELECT 1;
