// SPDX-License-Identifier: MIT
/** Checkouts of other versions of the program, and going on with them. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { run } from './ground.js';

/** The same program under another number. */
export function anotherVersion(base: string, version: string): string {
  const copy = join(base, version);
  mkdirSync(copy);
  for (const part of ['bin', 'dist/bundle']) run('cp', '-r', '--parents', part, copy);
  symlinkSync(resolve('node_modules'), join(copy, 'node_modules'));
  const description = JSON.parse(readFileSync('package.json', 'utf8')) as object;
  writeFileSync(join(copy, 'package.json'), JSON.stringify({ ...description, version }));
  return copy;
}

export function upgrade(
  checkout: string,
  ...words: string[]
): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(join(checkout, 'bin/tsoverlay'), ['upgrade', ...words], { encoding: 'utf8' });
}
