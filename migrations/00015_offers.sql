-- SPDX-FileCopyrightText: The OneMap authors
-- SPDX-License-Identifier: Apache-2.0

-- Offers: one worker asked to go to one incident; what was said about it; and word of
-- it on its way to a messenger outside.

-- +goose Up

CREATE TABLE offer (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  incident_id    bigint NOT NULL REFERENCES incident,
  worker_id      bigint NOT NULL REFERENCES worker,
  lead           boolean NOT NULL,
  state          text NOT NULL DEFAULT 'offered' CHECK (state IN ('offered', 'delivered', 'seen', 'accepted', 'declined',
                 'expired', 'withdrawn', 'arrived', 'finished')),
  ver            integer NOT NULL DEFAULT 1 CHECK (ver > 0),
  made_by        text NOT NULL,                 -- the actor: never a name
  made_at        timestamptz NOT NULL,
  sent_with      bigint,                        -- the first of the offers that one request made; null for that one
  expires_at     timestamptz NOT NULL,
  delivered_at   timestamptz,                   -- what the phone said of itself; never assumed
  seen_at        timestamptz,
  answered_at    timestamptz,
  arrived_at     timestamptz,                   -- by the worker's word
  arrived_m      real CHECK (arrived_m >= 0),   -- how far from the place a fresh fix then was
  arrived_fix_at timestamptz,                   -- by two fixes
  finished_at    timestamptz,
  ended_at       timestamptz,
  not_reached    boolean NOT NULL DEFAULT false,
  reason         text NOT NULL DEFAULT '' CHECK (length(reason) <= 1000),
  CHECK (expires_at > made_at),
  CHECK ((state IN ('declined', 'expired', 'withdrawn', 'finished')) = (ended_at IS NOT NULL)),
  CHECK ((state IN ('accepted', 'arrived', 'finished')) <= (answered_at IS NOT NULL)),
  CHECK ((state = 'arrived') <= (arrived_at IS NOT NULL OR arrived_fix_at IS NOT NULL)),
  CHECK ((state = 'finished') = (finished_at IS NOT NULL)),
  CHECK ((state = 'declined') <= (reason <> ''))
);
-- Nobody is sent twice, and no incident to two.
CREATE UNIQUE INDEX offer_one_lead ON offer (incident_id) WHERE lead AND state IN ('offered', 'delivered', 'seen', 'accepted', 'arrived');
CREATE UNIQUE INDEX offer_once_each ON offer (incident_id, worker_id) WHERE state IN ('offered', 'delivered', 'seen', 'accepted', 'arrived');
CREATE UNIQUE INDEX offer_one_unanswered ON offer (worker_id) WHERE state IN ('offered', 'delivered', 'seen');
CREATE INDEX offer_accepted ON offer (worker_id) WHERE state IN ('accepted', 'arrived');
CREATE INDEX offer_live ON offer (id) WHERE state IN ('offered', 'delivered', 'seen', 'accepted', 'arrived');
CREATE INDEX offer_incident ON offer (incident_id, id);
CREATE INDEX offer_due ON offer (expires_at) WHERE state IN ('offered', 'delivered', 'seen');
CREATE INDEX offer_unreached ON offer (made_at) WHERE state = 'offered' AND NOT not_reached AND delivered_at IS NULL AND seen_at IS NULL;

-- What state may follow which: the machine of package dispatch, once more.
-- +goose StatementBegin
CREATE FUNCTION offer_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT (CASE OLD.state
    WHEN 'offered' THEN NEW.state IN ('delivered', 'seen', 'accepted', 'declined', 'expired', 'withdrawn')
    WHEN 'delivered' THEN NEW.state IN ('seen', 'accepted', 'declined', 'expired', 'withdrawn')
    WHEN 'seen' THEN NEW.state IN ('accepted', 'declined', 'expired', 'withdrawn')
    WHEN 'accepted' THEN NEW.state IN ('arrived', 'finished', 'declined', 'withdrawn')
    WHEN 'arrived' THEN NEW.state IN ('finished', 'declined', 'withdrawn')
    WHEN 'expired' THEN NEW.state IN ('accepted')
    ELSE false END) THEN
    RAISE EXCEPTION 'offer % cannot go from % to %', NEW.id, OLD.state, NEW.state USING ERRCODE = '23514', CONSTRAINT = 'offer_moves';
  END IF;
  RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER offer_moves BEFORE UPDATE OF state ON offer
  FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION offer_moves();

-- Every act on an offer, append-only; refused ones too where the phone may send them
-- again, so that it gets the same answer.
CREATE TABLE offer_journal (
  offer_id   bigint NOT NULL REFERENCES offer,
  n          integer NOT NULL,
  kind       text NOT NULL,
  from_state text,
  to_state   text NOT NULL,
  actor      text NOT NULL,
  at         timestamptz NOT NULL,
  device_at  timestamptz,                      -- the worker's own clock, where it was told
  reason     text NOT NULL DEFAULT '',
  client_ref text CHECK (length(client_ref) BETWEEN 1 AND 100),
  refused    text NOT NULL DEFAULT '',         -- why it changed nothing
  PRIMARY KEY (offer_id, n)
);
CREATE UNIQUE INDEX offer_journal_ref ON offer_journal (offer_id, client_ref) WHERE client_ref IS NOT NULL;
CREATE TRIGGER offer_journal_append_only BEFORE UPDATE OR DELETE ON offer_journal
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER offer_journal_no_truncate BEFORE TRUNCATE ON offer_journal
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Word to a worker that a messenger outside is to carry: ids and a short text that
-- names nobody. Written in the transaction of the change.
CREATE TABLE notification (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind       text NOT NULL,
  offer_id   bigint NOT NULL REFERENCES offer,
  worker_id  bigint NOT NULL REFERENCES worker,
  text       text NOT NULL CHECK (length(text) BETWEEN 1 AND 200),
  made_at    timestamptz NOT NULL,
  useless_at timestamptz,                       -- from then on nobody is helped by it
  next_at    timestamptz,                       -- when it is tried again; null when it is done with
  tries      smallint NOT NULL DEFAULT 0,
  sent_at    timestamptz,
  failed     text NOT NULL DEFAULT '',          -- why the last try failed
  CHECK (sent_at IS NULL OR next_at IS NULL)
);
CREATE INDEX notification_due ON notification (next_at, id) WHERE next_at IS NOT NULL;

GRANT SELECT, INSERT, UPDATE ON offer, notification TO onemap_app;
GRANT SELECT, INSERT ON offer_journal TO onemap_app;
REVOKE DELETE, TRUNCATE ON offer FROM onemap_app;
REVOKE UPDATE, DELETE, TRUNCATE ON offer_journal FROM onemap_app;

-- +goose Down
-- There is no way back: restore a backup instead.
SELECT 1;
