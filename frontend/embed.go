// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package frontend carries the built pages inside the binary. Before the first
// `npm run build` it carries a stub page, so that the server always builds.
package frontend

import "embed"

// Dist holds the built pages under "dist/".
//
//go:embed all:dist
var Dist embed.FS
