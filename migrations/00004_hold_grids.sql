-- SPDX-FileCopyrightText: The OneMap authors
-- SPDX-License-Identifier: Apache-2.0

-- +goose Up
-- Keeps a grid version from being replaced until the transaction ends, and
-- refuses one that already was (SQLSTATE OM001). A report is sent as one batch of
-- statements: this one has to end it by itself.
-- +goose StatementBegin
CREATE FUNCTION hold_grids(held integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM grid_version WHERE id = held AND state = 'enacted' FOR SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the grids changed' USING ERRCODE = 'OM001';
  END IF;
END $$;
-- +goose StatementEnd

-- +goose Down
-- There is no way back: restore a backup instead.
SELECT 1;
