// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The tiles that the server's own encoder writes, as the map's decoder reads them.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { VectorTile } from '@mapbox/vector-tile';
import { PbfReader } from 'pbf';
import { expect, test } from 'vitest';

const DATA = join(import.meta.dirname, '../../../tiles/testdata');

interface Told {
  ID: number;
  At: [number, number];
  Properties: Record<string, string | number>;
}

test.each(['incidents-13', 'incidents-many-12', 'incidents-9'])('%s is read as it was meant', (name) => {
  const tile = new VectorTile(new PbfReader(readFileSync(join(DATA, `${name}.mvt`))));
  const want: Record<string, Told[]> = JSON.parse(readFileSync(join(DATA, `${name}.json`), 'utf8'));
  expect(Object.keys(tile.layers).sort()).toEqual(Object.keys(want).sort());
  for (const [layer, features] of Object.entries(want)) {
    const l = tile.layers[layer];
    expect([l?.version, l?.extent, l?.length]).toEqual([2, 4096, features.length]);
    features.forEach((f, k) => {
      const is = l?.feature(k);
      const at = is?.loadGeometry()[0]?.[0];
      expect([is?.id ?? 0, is?.type, at?.x, at?.y, is?.properties]).toEqual([f.ID, 1, f.At[0], f.At[1], f.Properties]);
    });
  }
});

interface Shown {
  Rings: [number, number][][];
  Properties: Record<string, string | number>;
}

test.each(['hotspots-11'])('%s is read as polygons as it was meant', (name) => {
  const tile = new VectorTile(new PbfReader(readFileSync(join(DATA, `${name}.mvt`))));
  const want: Record<string, Shown[]> = JSON.parse(readFileSync(join(DATA, `${name}.json`), 'utf8'));
  expect(Object.keys(tile.layers).sort()).toEqual(Object.keys(want).sort());
  for (const [layer, features] of Object.entries(want)) {
    const l = tile.layers[layer];
    expect([l?.version, l?.extent, l?.length]).toEqual([2, 4096, features.length]);
    features.forEach((f, k) => {
      const is = l?.feature(k);
      const rings = is?.loadGeometry().map((ring) => ring.map((p) => [p.x, p.y]));
      expect([is?.type, rings, is?.properties]).toEqual([3, f.Rings, f.Properties]);
    });
  }
});

interface Feature {
  id: number;
  geometry: { type: string; coordinates: unknown };
  properties: Record<string, string | number | boolean>;
}

/** The parts of a geometry, each a list of places. */
function parts({ type, coordinates }: Feature['geometry']): unknown {
  if (type === 'Point') return [[coordinates]];
  if (type === 'LineString') return [coordinates];
  return type === 'MultiPolygon' ? (coordinates as unknown[]).flat() : coordinates;
}

const KINDS: Record<string, number> = { Point: 1, LineString: 2, MultiLineString: 2, Polygon: 3, MultiPolygon: 3 };

test.each(['grids-8', 'roads-9', 'cameras-11', 'coverage-9', 'addresses-16', 'addresses-many-15'])(
  '%s is read as what was drawn',
  (name) => {
    const tile = new VectorTile(new PbfReader(readFileSync(join(DATA, `${name}.mvt`))));
    const want: Record<string, { features: Feature[] }> = JSON.parse(readFileSync(join(DATA, `${name}.json`), 'utf8'));
    expect(Object.keys(tile.layers).sort()).toEqual(Object.keys(want).sort());
    for (const [layer, { features }] of Object.entries(want)) {
      const l = tile.layers[layer];
      expect([l?.version, l?.extent, l?.length]).toEqual([2, 4096, features.length]);
      features.forEach((f, k) => {
        const is = l?.feature(k);
        const at = is?.loadGeometry().map((part) => part.map((p) => [p.x, p.y]));
        expect([is?.id ?? 0, is?.type, at, is?.properties]).toEqual([
          f.id ?? 0,
          KINDS[f.geometry.type],
          parts(f.geometry),
          f.properties,
        ]);
      });
    }
  },
);
