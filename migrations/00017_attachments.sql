-- SPDX-FileCopyrightText: The OneMap authors
-- SPDX-License-Identifier: Apache-2.0

-- Photos, recordings and films of an incident. The files themselves lie in the data
-- folder, by their hash; a row is ready only once they are on the disk.

-- +goose Up

CREATE TABLE attachment (
  incident_id      bigint NOT NULL REFERENCES incident,
  n                smallint NOT NULL CHECK (n BETWEEN 1 AND 9999), -- within its incident
  state            text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'ready', 'refused', 'expired', 'removed')),
  uploader         text NOT NULL,                    -- an actor's id, never a name
  client_ref       text CHECK (length(client_ref) BETWEEN 1 AND 100), -- the sender's own name for it
  begun_at         timestamptz NOT NULL,
  -- as declared before the first byte
  kind             text NOT NULL CHECK (kind IN ('photo', 'voice', 'video')),
  declared_type    text NOT NULL,
  size             bigint NOT NULL CHECK (size BETWEEN 1 AND 67108864),
  sha256           bytea NOT NULL CHECK (length(sha256) = 32), -- of the file as it was received
  captured_at      timestamptz,                      -- the device's own clock
  captured_geom    geometry(Point, 4326) CHECK (NOT ST_IsEmpty(captured_geom)),
  captured_lon     double precision,                 -- the raw pair as given
  captured_lat     double precision,
  captured_datum   text,
  -- as found in the file
  type             text,
  width            integer,
  height           integer,
  duration_ms      integer,
  file_captured_at timestamptz,
  file_lon         double precision,                 -- as it stands in the file
  file_lat         double precision,
  file_datum       text,                             -- as the file names it; '' where it does not
  -- what is served: the copy without what tells a place, and its thumbnail
  served_sha256    bytea CHECK (length(served_sha256) = 32),
  served_size      bigint,
  thumb_sha256     bytea CHECK (length(thumb_sha256) = 32),
  ready_at         timestamptz,
  -- its end
  refusal          text NOT NULL DEFAULT '',         -- why it is not taken
  ended_at         timestamptz,                      -- refused, expired or removed
  removed_by       text,
  reason           text NOT NULL DEFAULT '',         -- of a removal
  PRIMARY KEY (incident_id, n),
  CHECK ((state IN ('ready', 'removed')) >= (ready_at IS NOT NULL)),
  CHECK ((state = 'ready') <= (ready_at IS NOT NULL)),
  CHECK ((ready_at IS NULL) = (served_sha256 IS NULL) AND (ready_at IS NULL) = (served_size IS NULL) AND (ready_at IS NULL) = (type IS NULL)),
  CHECK ((state IN ('refused', 'expired', 'removed')) = (ended_at IS NOT NULL)),
  CHECK ((state = 'refused') = (refusal <> '')),
  CHECK ((state = 'removed') = (removed_by IS NOT NULL)),
  CHECK ((captured_geom IS NULL) = (captured_lon IS NULL) AND (captured_geom IS NULL) = (captured_lat IS NULL) AND (captured_geom IS NULL) = (captured_datum IS NULL)),
  CHECK ((file_lon IS NULL) = (file_lat IS NULL) AND (file_lon IS NULL) = (file_datum IS NULL))
);
-- A sender's name for a file is good for one upload, as long as that lives.
CREATE UNIQUE INDEX attachment_client_ref ON attachment (uploader, client_ref) WHERE client_ref IS NOT NULL AND state IN ('pending', 'ready');
CREATE INDEX attachment_uploader ON attachment (uploader, begun_at);
CREATE INDEX attachment_pending ON attachment (begun_at) WHERE state = 'pending';

REVOKE DELETE, TRUNCATE ON attachment FROM onemap_app;

-- +goose Down
-- There is no way back: restore a backup instead.
SELECT 1;
