// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package archtest holds the house rules as tests: who may import whom (the
// table of docs/ARCHITECTURE.md), who may read the whole database, how SQL is
// written, what every file begins with and what lies in the top folder.
package archtest
