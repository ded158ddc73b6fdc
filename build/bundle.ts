// SPDX-License-Identifier: MIT
/**
 * Puts the modules that each process loads into a few files: a process of this program
 * lives for a fraction of a second, and finding, reading and linking two hundred
 * modules was a third of it. dist/lib stays for those who import it.
 *
 *   node dist/build/bundle.js
 */
import { rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { type BuildOptions, build } from 'esbuild';

const OUTPUT = 'dist/bundle';

const common: BuildOptions = {
  entryNames: '[name]',
  chunkNames: 'part-[hash]',
  outdir: OUTPUT,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  // Names stay: stack traces are for people.
  minifyWhitespace: true,
  minifySyntax: true,
  sourcemap: true,
  legalComments: 'none',
  // Native parts are found where npm has put them.
  external: ['koffi', 'fuse-native'],
  alias: { 'string-width': resolve('dist/build/plain-width.js') },
  // What is CommonJS among the packages asks for Node's modules so.
  banner: {
    js: "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);",
  },
};

const entry = (name: string): string => `dist/lib/${name}.js`;

rmSync(OUTPUT, { recursive: true, force: true });
// A command loads what it needs; the other processes need all that they have.
await build({ ...common, entryPoints: [entry('cli/main')], splitting: true });
const whole = [
  'container/server/server-main',
  'container/stage/stage',
  'mount/background-main',
  'mount/serving-thread',
];
await build({ ...common, entryPoints: whole.map(entry) });
