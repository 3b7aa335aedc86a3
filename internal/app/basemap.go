// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"path/filepath"

	"onemap/tiles/base"
)

// baseFolder is where tiles of the base map are kept, in the data folder.
const baseFolder = "basemap"

// OpenBase opens the base map of settings for a data folder; nil when there is none.
func OpenBase(s base.Settings, data string) (*base.Map, error) {
	s.CacheDir = filepath.Join(data, baseFolder)
	return base.Open(s)
}
