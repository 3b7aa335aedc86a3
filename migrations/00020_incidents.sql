-- SPDX-FileCopyrightText: The OneMap authors
-- SPDX-License-Identifier: Apache-2.0

-- What happens to an incident beside the moves of its machine: what two people agree
-- to, instructions, sessions, assisting departments, call-backs, its dossier.

-- +goose Up

------------------------------------------------------------------ categories

-- Whether the worker who reported such a matter may resolve it there and then, and
-- whether that needs something attached.
ALTER TABLE category
  ADD COLUMN on_the_spot boolean NOT NULL DEFAULT false,
  ADD COLUMN evidence    boolean NOT NULL DEFAULT false;
UPDATE category SET on_the_spot = true, evidence = code NOT IN ('0101', '0803')
  WHERE handling_level >= 3 AND priority >= 2 AND precision <> 'none';

------------------------------------------------------------------ incidents

-- The limit that an outside letter came with: it wins over the category's and the level's.
ALTER TABLE incident
  ADD COLUMN outside_value integer CHECK (outside_value BETWEEN 1 AND 8784),
  ADD COLUMN outside_unit  text CHECK (outside_unit IN ('nh', 'wh', 'wd', 'sd', 'cd')),
  ADD CHECK ((outside_value IS NULL) = (outside_unit IS NULL));

-- Departments that assist 协办: they read the incident, the lead department closes it.
CREATE TABLE incident_assistant (
  incident_id   bigint NOT NULL REFERENCES incident,
  department_id bigint NOT NULL REFERENCES department,
  since         timestamptz NOT NULL,
  until         timestamptz,
  PRIMARY KEY (incident_id, department_id)
);
CREATE INDEX incident_assistant_own ON incident_assistant (department_id, incident_id) WHERE until IS NULL;

------------------------------------------------------------------ two people

-- What one person asks for and another decides. n counts within the incident.
CREATE TABLE request (
  incident_id bigint NOT NULL REFERENCES incident,
  n           smallint NOT NULL CHECK (n > 0),
  kind        text NOT NULL CHECK (kind IN ('void', 'extend', 'suspend')),
  state       text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'approved', 'refused', 'lapsed')),
  stage       smallint NOT NULL,                  -- that ran when it was asked
  reason      text NOT NULL CHECK (reason <> ''),
  value       integer CHECK (value > 0),          -- of extend: by how much
  unit        text CHECK (unit IN ('nh', 'wh', 'wd', 'cd')),
  until       timestamptz,                        -- of suspend: when it is looked at again
  asked_by    text NOT NULL,
  asked_at    timestamptz NOT NULL,
  decided_by  text,
  decided_at  timestamptz,
  answer      text NOT NULL DEFAULT '',           -- why, as the second person says
  PRIMARY KEY (incident_id, n),
  CHECK (decided_by <> asked_by),
  CHECK ((kind = 'extend') = (value IS NOT NULL) AND (kind = 'extend') = (unit IS NOT NULL)),
  CHECK ((kind = 'suspend') = (until IS NOT NULL)),
  CHECK ((state = 'open') = (decided_at IS NULL)),
  CHECK ((state IN ('approved', 'refused')) = (decided_by IS NOT NULL))
);
CREATE UNIQUE INDEX request_one_open ON request (incident_id, kind) WHERE state = 'open';
CREATE INDEX request_open ON request (asked_at, incident_id) WHERE state = 'open';

------------------------------------------------------------------ instructions and sessions

-- 批示: what a leader has written on an incident; open until it is answered.
CREATE TABLE instruction (
  incident_id bigint NOT NULL REFERENCES incident,
  n           smallint NOT NULL CHECK (n > 0),
  body        text NOT NULL CHECK (body <> ''),
  due         timestamptz NOT NULL,
  given_by    text NOT NULL,
  given_at    timestamptz NOT NULL,
  reply       text,
  replied_by  text,
  replied_at  timestamptz,
  PRIMARY KEY (incident_id, n),
  CHECK ((reply IS NULL) = (replied_at IS NULL) AND (reply IS NULL) = (replied_by IS NULL))
);
CREATE INDEX instruction_open ON instruction (due, incident_id) WHERE replied_at IS NULL;

-- The roles that a joint session 会商 has to fill.
CREATE TABLE joint_session_role (
  n    smallint PRIMARY KEY CHECK (n BETWEEN 1 AND 20),
  name text NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 40)
);
INSERT INTO joint_session_role VALUES (1, '值班领导'), (2, '属地主持'), (3, '专业人员一'), (4, '专业人员二'), (5, '专业人员三'), (6, '信访跟办');

-- A joint session. seats is a list of {role, holder}: posts or departments, no persons.
CREATE TABLE joint_session (
  incident_id  bigint NOT NULL REFERENCES incident,
  n            smallint NOT NULL CHECK (n > 0),
  at           timestamptz NOT NULL,
  place        text NOT NULL CHECK (place <> ''),
  follow_up    text NOT NULL DEFAULT '',          -- who follows up what comes of it
  seats        jsonb NOT NULL CHECK (jsonb_typeof(seats) = 'array'),
  called_by    text NOT NULL,
  called_at    timestamptz NOT NULL,
  confirmed_by text,
  confirmed_at timestamptz,
  PRIMARY KEY (incident_id, n),
  CHECK ((confirmed_by IS NULL) = (confirmed_at IS NULL)),
  CHECK (confirmed_at IS NULL OR follow_up <> '')
);
CREATE INDEX joint_session_open ON joint_session (at, incident_id) WHERE confirmed_at IS NULL;

------------------------------------------------------------------ call-backs

-- 回访: what each reporter is owed once the matter has ended. incident_id and
-- reporter_n name the reporter; closes_id the incident whose end it is about: the same,
-- or the one it was merged into.
CREATE TABLE call_back (
  incident_id bigint NOT NULL REFERENCES incident,
  n           smallint NOT NULL CHECK (n > 0),
  reporter_n  smallint NOT NULL,
  closes_id   bigint NOT NULL REFERENCES incident,
  owed_by     text NOT NULL,                      -- who was asked first 首问责任
  due         timestamptz NOT NULL,
  tries       smallint NOT NULL DEFAULT 0,        -- calls that reached nobody
  done_at     timestamptz,
  done_by     text,
  outcome     text CHECK (outcome IN ('unreached', 'satisfied', 'basically', 'unsatisfied')),
  body        text NOT NULL DEFAULT '',
  PRIMARY KEY (incident_id, n),
  FOREIGN KEY (incident_id, reporter_n) REFERENCES reporter,
  CHECK ((done_at IS NULL) = (outcome IS NULL) AND (done_at IS NULL) = (done_by IS NULL))
);
CREATE UNIQUE INDEX call_back_one_owed ON call_back (incident_id, reporter_n) WHERE done_at IS NULL;
CREATE INDEX call_back_owed ON call_back (due, incident_id) WHERE done_at IS NULL;
CREATE INDEX call_back_by ON call_back (owed_by, due) WHERE done_at IS NULL;
CREATE INDEX call_back_closes ON call_back (closes_id);

------------------------------------------------------------------ dossier

-- 一案一档: an archived incident's dossier as it stood. Its hash is in the journal.
CREATE TABLE dossier (
  incident_id bigint PRIMARY KEY REFERENCES incident,
  body        bytea NOT NULL,                     -- JSON
  at          timestamptz NOT NULL
);
CREATE TRIGGER dossier_append_only BEFORE UPDATE OR DELETE ON dossier
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER dossier_no_truncate BEFORE TRUNCATE ON dossier
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

------------------------------------------------------------------ step labels

-- What centres call the steps: a name over states, by preset. Setting "steps" names the
-- preset in use.
CREATE TABLE step_label (
  preset text NOT NULL CHECK (preset ~ '^[a-z]{1,20}$'),
  state  text NOT NULL CHECK (state IN ('reported', 'accepted', 'refused', 'routed', 'dispatched',
         'acknowledged', 'on_scene', 'resolved', 'verified', 'rework', 'closed', 'archived', 'returned',
         'escalated', 'suspended', 'merged', 'void', 'transferred', 'reopened')),
  step   smallint NOT NULL CHECK (step > 0),      -- its place in the row of steps
  label  text NOT NULL CHECK (length(label) BETWEEN 1 AND 20),
  PRIMARY KEY (preset, state)
);
INSERT INTO step_label (preset, state, step, label)
  SELECT p.preset, s, w.step, w.label
  FROM (VALUES ('states'), ('shouyan'), ('shouli'), ('paijie')) AS p(preset)
  JOIN (VALUES
    ('states', 1, '上报', '{reported}'), ('states', 2, '受理', '{accepted,reopened}'), ('states', 2, '不予受理', '{refused}'),
    ('states', 3, '分流', '{routed,returned,escalated}'), ('states', 4, '派遣', '{dispatched}'), ('states', 5, '签收', '{acknowledged}'),
    ('states', 6, '到场', '{on_scene}'), ('states', 6, '挂账', '{suspended}'), ('states', 7, '办结', '{resolved}'), ('states', 7, '返工', '{rework}'),
    ('states', 8, '核查', '{verified}'), ('states', 9, '结案', '{closed}'), ('states', 9, '合并', '{merged}'), ('states', 9, '作废', '{void}'),
    ('states', 9, '转出', '{transferred}'), ('states', 10, '归档', '{archived}'),
    ('shouyan', 1, '收', '{reported}'), ('shouyan', 2, '研', '{accepted,returned,escalated,reopened}'), ('shouyan', 3, '转', '{routed,dispatched}'),
    ('shouyan', 4, '办', '{acknowledged,on_scene,rework,suspended}'), ('shouyan', 5, '结', '{refused,resolved,verified,closed,archived,merged,void,transferred}'),
    ('shouli', 1, '受理', '{reported,accepted,refused,reopened}'), ('shouli', 2, '分流', '{routed,dispatched,returned,escalated,transferred,merged,void}'),
    ('shouli', 3, '处置', '{acknowledged,on_scene,rework,suspended}'), ('shouli', 4, '反馈', '{resolved,verified}'), ('shouli', 5, '评价', '{closed,archived}'),
    ('paijie', 1, '排', '{reported}'), ('paijie', 2, '接', '{accepted,refused,reopened,returned,escalated,routed,dispatched,transferred,merged,void}'),
    ('paijie', 3, '调', '{acknowledged,on_scene,rework,suspended}'), ('paijie', 4, '稳', '{resolved,verified,closed,archived}')
  ) AS w(preset, step, label, states) ON w.preset = p.preset, unnest(w.states::text[]) AS s;

------------------------------------------------------------------ rights

GRANT SELECT, INSERT, UPDATE ON incident_assistant, request, instruction, joint_session, call_back TO onemap_app;
REVOKE DELETE, TRUNCATE ON incident_assistant, request, instruction, joint_session, call_back FROM onemap_app;
GRANT SELECT, INSERT ON dossier TO onemap_app;
REVOKE UPDATE, DELETE, TRUNCATE ON dossier FROM onemap_app;
GRANT SELECT ON joint_session_role, step_label TO onemap_app;
REVOKE INSERT, UPDATE, DELETE ON joint_session_role, step_label FROM onemap_app;

-- +goose Down
-- There is no way back: restore a backup instead.
SELECT 1;
