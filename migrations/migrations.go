// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package migrations holds the database schema as numbered SQL files that
// goose applies in order. A file that has landed is never edited; a change is a
// new file.
package migrations

import "embed"

// FS holds the numbered SQL files.
//
//go:embed *.sql
var FS embed.FS
