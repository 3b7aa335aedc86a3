// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Removes what a build has made in ../dist and nothing else: the committed
// stub index.html stays.

import { readdirSync, rmSync } from 'node:fs';

const dist = new URL('../../dist/', import.meta.url);
const KEEP = new Set(['index.html', '.gitignore', '.gitkeep']);
for (const name of readdirSync(dist)) {
  if (!KEEP.has(name)) rmSync(new URL(name, dist), { recursive: true });
}
