-- SPDX-FileCopyrightText: The OneMap authors
-- SPDX-License-Identifier: Apache-2.0

-- +goose Up

-- Word of an offer that was no longer true when its turn came, and why.
ALTER TABLE notification ADD COLUMN untold text NOT NULL DEFAULT '' CHECK (untold = '' OR sent_at IS NULL AND next_at IS NULL);
-- The words of one offer go out in their order.
CREATE INDEX notification_offer ON notification (offer_id, id);

-- +goose Down
-- There is no way back: restore a backup instead.
SELECT 1;
