// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Fails when a page asks for more JavaScript at start than its budget, counted
// as gzip -9: the page's scripts and what they import at once. What a page loads
// when it is wanted is counted apart, and so is the map's worker, which runs on a
// thread of its own and is the same on every page.

import { readdirSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const dist = new URL('../../dist/', import.meta.url);
const BUDGET_KB = { wall: 480, desk: 700, review: 200, field: 150, admin: 200 };
const LATER_KB = { wall: 0, desk: 0, review: 320, field: 320, admin: 320 };
const WORKER_KB = 160;

const all = readdirSync(new URL('assets/', dist)).filter((f) => /\.m?js$/.test(f));
const textOf = (file) => readFileSync(new URL(file, dist), 'utf8');
const isWorker = (file) => /-worker-/.test(file);

/** The script files a page loads at start, imports followed, and those that it may load later. */
function scripts(html) {
  const start = new Set();
  const later = new Set();
  const at = (file) => `assets/${file}`;
  const follow = (found, files) => {
    const todo = [...files];
    while (todo.length) {
      const file = todo.pop();
      if (start.has(file) || found.has(file)) continue;
      found.add(file);
      const text = textOf(file);
      const atOnce = new Set([...text.matchAll(/\b(?:import|from)\s*["']\.\/([^"']+)["']/g)].map((m) => m[1]));
      for (const other of all) {
        if (!text.includes(other) || at(other) === file) continue;
        if (found === later || atOnce.has(other) || isWorker(other)) todo.push(at(other));
        else later.add(at(other));
      }
    }
  };
  follow(
    start,
    [...html.matchAll(/(?:src|href)="\/(assets\/[^"]+\.m?js)"/g)].map((m) => m[1]),
  );
  const wanted = [...later];
  later.clear();
  follow(later, wanted);
  return { start: [...start].sort(), later: [...later].sort() };
}

let failed = false;
for (const [page, budget] of Object.entries(BUDGET_KB)) {
  const html = readFileSync(new URL(`${page}.html`, dist), 'utf8');
  if (/<script(?![^>]*\bsrc=)|\sstyle="|<style/.test(html)) {
    console.error(`${page}.html holds inline script or style, which the CSP forbids`);
    failed = true;
  }
  const { start, later } = scripts(html);
  const size = (file) => gzipSync(textOf(file), { level: 9 }).length;
  for (const file of start) console.log(`  ${file.padEnd(52)} ${(size(file) / 1000).toFixed(1)} KB gz`);
  for (const file of later) console.log(`  ${file.padEnd(52)} ${(size(file) / 1000).toFixed(1)} KB gz, later`);
  const sum = (files) => files.reduce((n, f) => n + size(f), 0);
  const ofPage = (files) => files.filter((f) => !isWorker(f));
  for (const [what, total, limit] of [
    [`${page} at start`, sum(ofPage(start)), budget],
    [`${page} when wanted`, sum(ofPage(later)), LATER_KB[page]],
    [`${page}'s worker`, sum([...start, ...later].filter(isWorker)), WORKER_KB],
  ]) {
    const over = total > limit * 1000;
    console.log(`${what}: ${(total / 1000).toFixed(1)} of ${limit} KB gz JS${over ? ' - TOO MUCH' : ''}`);
    failed ||= over;
  }
}
process.exitCode = failed ? 1 : 0;
