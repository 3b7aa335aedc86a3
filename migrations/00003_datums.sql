-- SPDX-FileCopyrightText: The OneMap authors
-- SPDX-License-Identifier: Apache-2.0

-- +goose Up
-- A place may be given in CGCS2000 by EPSG code and axis order too, metres of a
-- Gauss-Kruger zone among them: the pattern of geo.DatumPattern.
ALTER TABLE incident DROP CONSTRAINT incident_raw_datum_check;
ALTER TABLE incident ADD CONSTRAINT incident_raw_datum_check
  CHECK (raw_datum ~ '^(wgs84|gcj02|bd09|cgcs2000|EPSG:4(490|49[1-9]|5[0-4][0-9]|55[0-4])-(en|ne))$');

-- +goose Down
-- There is no way back: restore a backup instead.
SELECT 1;
