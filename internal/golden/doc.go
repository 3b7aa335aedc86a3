// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package golden holds only tests: what package analysis works out of counts is held
// against what R works out of the same. R is asked by `make golden` (reference.R), which
// writes its answers to testdata; all else compares with those and needs no R.
package golden
