// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

// For the comparison of a scoped query with the same one written by hand.
const SelectCaseForTest = "SELECT " + incidentColumns + fromIncident

var ScanForTest = scanIncident
