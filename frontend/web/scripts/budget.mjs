// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Fails when a page asks for more JavaScript at start than its budget, counted
// as gzip -9: the page's scripts and what they import. The map's worker runs on
// a thread of its own, is the same on every page, and has its own limit.

import { readdirSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const dist = new URL('../../dist/', import.meta.url);
const BUDGET_KB = { wall: 480, admin: 200 };
const WORKER_KB = 160;

/** The script files a page loads at start, imports followed. */
function scripts(html) {
  const found = new Set();
  const todo = [...html.matchAll(/(?:src|href)="\/(assets\/[^"]+\.m?js)"/g)].map((m) => m[1]);
  const all = readdirSync(new URL('assets/', dist)).filter((f) => /\.m?js$/.test(f));
  while (todo.length) {
    const file = todo.pop();
    if (found.has(file)) continue;
    found.add(file);
    const text = readFileSync(new URL(file, dist), 'utf8');
    for (const other of all) if (text.includes(other)) todo.push(`assets/${other}`);
  }
  return [...found].sort();
}

let failed = false;
for (const [page, budget] of Object.entries(BUDGET_KB)) {
  const html = readFileSync(new URL(`${page}.html`, dist), 'utf8');
  if (/<script(?![^>]*\bsrc=)|\sstyle="|<style/.test(html)) {
    console.error(`${page}.html holds inline script or style, which the CSP forbids`);
    failed = true;
  }
  const sizes = scripts(html).map((file) => ({ file, size: gzipSync(readFileSync(new URL(file, dist)), { level: 9 }).length }));
  for (const { file, size } of sizes) console.log(`  ${file.padEnd(52)} ${(size / 1000).toFixed(1)} KB gz`);
  const sum = (worker) => sizes.filter((s) => /-worker-/.test(s.file) === worker).reduce((n, s) => n + s.size, 0);
  for (const [what, total, limit] of [
    [page, sum(false), budget],
    [`${page}'s worker`, sum(true), WORKER_KB],
  ]) {
    const over = total > limit * 1000;
    console.log(`${what}: ${(total / 1000).toFixed(1)} of ${limit} KB gz JS at start${over ? ' - TOO MUCH' : ''}`);
    failed ||= over;
  }
}
process.exitCode = failed ? 1 : 0;
