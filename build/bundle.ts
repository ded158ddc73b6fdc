// SPDX-License-Identifier: MIT
/**
 * Puts the modules that each process loads into one file, with what V8 compiles of it
 * beside it (loader.ts): a process of this program lives for a fraction of a second, and
 * finding, reading, linking and compiling two hundred modules was more than half of it.
 * dist/lib stays for those who import it.
 *
 *   node dist/build/bundle.js
 */
import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type BuildOptions, build } from 'esbuild';
import { SMALL_PROCESS_FLAGS } from '../lib/container/server/small-process.js';

const OUTPUT = resolve('dist/bundle');

const common: BuildOptions = {
  outdir: OUTPUT,
  bundle: true,
  format: 'cjs',
  platform: 'node',
  target: 'node20',
  charset: 'ascii',
  // Names stay: stack traces are for people.
  minifyWhitespace: true,
  minifySyntax: true,
  sourcemap: true,
  legalComments: 'none',
  // Native parts are found where npm has put them.
  external: ['koffi', 'fuse-native'],
  alias: { 'string-width': resolve('dist/build/plain-width.js') },
  define: { 'import.meta.url': 'bundleUrl' },
  banner: { js: "const bundleUrl = require('node:url').pathToFileURL(__filename).href;" },
  // A part that is loaded when it is needed is evaluated then, in the same file.
  splitting: false,
};

interface Process {
  entry: string;
  /** Of Node, as it is started with them. */
  flags?: readonly string[];
  /** How it is run for V8 to see what it uses; `scratch` is a directory of its own. */
  trial(scratch: string): { args: string[]; environment?: NodeJS.ProcessEnv };
}

const PROCESSES: Process[] = [
  {
    entry: 'cli/main',
    trial(scratch) {
      writeFileSync(join(scratch, 'Dockerfile'), 'FROM scratch\nCOPY Dockerfile /\nLABEL a=b\n');
      return { args: ['build', '-q', '-t', 'trial', '--root', join(scratch, 'store'), scratch] };
    },
  },
  {
    entry: 'container/server/server-main',
    flags: SMALL_PROCESS_FLAGS,
    trial: () => ({ args: [], environment: { TSOVERLAY_STAGE: 'none' } }),
  },
  { entry: 'container/stage/stage', trial: () => ({ args: [] }) },
  { entry: 'mount/background-main', trial: () => ({ args: [] }) },
];

function nameOf(entry: string): string {
  return entry.split('/').at(-1)!;
}

async function bundle(entry: string): Promise<void> {
  const name = nameOf(entry);
  await build({
    ...common,
    entryPoints: [{ in: `dist/lib/${entry}.js`, out: `${name}.code` }],
  });
  writeFileSync(join(OUTPUT, `${name}.js`), `require('./loader.js').load('${name}', __dirname, require);\n`);
}

/** Runs a process with nobody to talk to it, so that it ends at once, and leaves what V8 has compiled. */
async function compile({ entry, flags = [], trial }: Process): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), 'tsoverlay-bundle-'));
  try {
    const name = nameOf(entry);
    const { args, environment } = trial(scratch);
    const child = spawn(process.execPath, [...flags, join(OUTPUT, `${name}.js`), ...args], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        TSOVERLAY_RUNTIME_DIR: join(scratch, 'run'),
        ...environment,
        TSOVERLAY_MAKE_CACHE: name,
      },
    });
    for (const end of child.stdio.slice(3)) (end as NodeJS.WritableStream).end();
    await new Promise((done) => child.on('exit', done));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

rmSync(OUTPUT, { recursive: true, force: true });
mkdirSync(OUTPUT);
// The package is one of ES modules; these are none.
writeFileSync(join(OUTPUT, 'package.json'), '{"type":"commonjs"}\n');
await build({ ...common, banner: {}, entryPoints: ['dist/build/loader.js'] });
for (const { entry } of PROCESSES) await bundle(entry);
await bundle('mount/serving-thread');
for (const place of [OUTPUT, 'dist/lib/supervise'])
  copyFileSync('lib/supervise/shim.sh', join(place, 'shim.sh'));
for (const one of PROCESSES) await compile(one);
