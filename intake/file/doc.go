// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package file reads the files a centre brings: tables (CSV, XLSX, points of any
// format) row by row through a column map, and shapes (GeoJSON, GeoJSONSeq, zipped
// Shapefiles) as grids. It knows formats, encodings, datums and limits; what a row
// means to the product is the business of package intake.
//
//	Open, OpenTable              any format -> Reader -> Row -> Mapper -> Record
//	OpenBoundaries, OpenShapes   any format of shapes -> Shapes, which reads as GeoJSON
//
// So whoever reads GeoJSON from a Shapes reads every format of shapes.
package file
