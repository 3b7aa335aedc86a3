// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package file reads the files a centre brings: incidents as CSV rows through a
// column map, grids as GeoJSON. It knows formats, encodings and limits; what a
// row means to the product is the business of package intake.
package file
