// SPDX-License-Identifier: MIT
/**
 * Runs the compiled tests, one process a file, and closes with `N passed, N failed`.
 * Fails when a test failed, when none ran, and when a test left a mount,
 * a directory or a control group behind.
 *
 *   node dist/test/run.js [PART…]     a part is a folder or a file: mount, mount/lifecycle
 *
 * TAP_TIMEOUT is how many seconds one file may take.
 *
 * Each file is a tap program of its own. tap's runner is left out: it hooks its
 * TypeScript loader into every program that a test starts, the server included.
 */
import { spawn } from 'node:child_process';
import { createWriteStream, existsSync, readdirSync, type WriteStream } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { CGROUP_PARENT } from '../lib/container/server/cgroup.js';
import { listMounts } from '../lib/sys/mounts.js';

const here = new URL('.', import.meta.url).pathname;
const REPORT = 'dist/test-results.tap';

function testFiles(parts: readonly string[]): string[] {
  const all = readdirSync(here, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.js'))
    .sort();
  const wanted = parts.length === 0 ? all : all.filter((name) => parts.some((part) => belongsTo(name, part)));
  return wanted.map((name) => join(here, name));
}

function belongsTo(name: string, part: string): boolean {
  return name === `${part}.test.js` || name.startsWith(`${part}/`);
}

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** tap's own last line: `# { total: 4, pass: 3, fail: 1, skip: 1 }`. */
function readTotals(line: string): Counts | undefined {
  if (!/^# \{ total: \d+/.test(line)) return undefined;
  const field = (name: string): number => Number(new RegExp(`\\b${name}: (\\d+)`).exec(line)?.[1] ?? 0);
  return { passed: field('pass'), failed: field('fail'), skipped: field('skip') };
}

/** Prints results of tests, what failed, and what explains it; the rest is in the report. */
async function runFile(file: string, report: WriteStream): Promise<Counts> {
  const started = Date.now();
  const environment = { ...process.env, TAP_TIMEOUT: process.env.TAP_TIMEOUT ?? '900' };
  const test = spawn(process.execPath, ['--enable-source-maps', file], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: environment,
  });
  const exited = new Promise<number | null>((resolve) => test.on('exit', resolve));
  let counts: Counts | undefined;
  let inFailure = false;
  for await (const line of createInterface({ input: test.stdout })) {
    report.write(`${line}\n`);
    if (/^ *(not )?ok /.test(line)) inFailure = /^ *not ok /.test(line);
    const isComment = /^ *# (seed|Error|step|kernel|ours|\[)/.test(line);
    if (inFailure || isComment || /# SKIP/.test(line)) process.stdout.write(`${line}\n`);
    counts = readTotals(line) ?? counts;
  }
  const status = await exited;
  // A file that died before its last line has failed, whatever it counted.
  const result = counts ?? { passed: 0, failed: 1, skipped: 0 };
  if (status !== 0 && result.failed === 0) result.failed = 1;
  const verdict = result.failed === 0 ? 'ok' : 'FAILED';
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  process.stdout.write(`${verdict} ${relative(here, file)}: ${result.passed} passed, ${seconds} s\n`);
  return result;
}

function leftovers(): string[] {
  return listMounts()
    .filter(({ source, type }) => source.startsWith('tsoverlay-test') || type === 'fuse.tsoverlay')
    .map(({ target }) => target);
}

/** Scratch directories of tests that nobody took away. */
function leftDirectories(): string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith('tsoverlay-'));
}

/** Where commands keep things when nothing else is said. */
function leftDefaults(): string[] {
  return ['/var/lib/tsoverlay', '/run/tsoverlay'].filter((directory) => existsSync(directory));
}

/** Control groups of containers, in the hierarchies of cgroups v1 or in the one of v2. */
function leftCgroups(): string[] {
  const root = '/sys/fs/cgroup';
  return [root, ...readdirSync(root).map((name) => join(root, name))]
    .map((hierarchy) => join(hierarchy, CGROUP_PARENT))
    .filter((directory) => existsSync(directory));
}

const allLeft = (): string[] => [...leftovers(), ...leftDirectories(), ...leftCgroups(), ...leftDefaults()];
const before = new Set(allLeft());
const files = testFiles(process.argv.slice(2));
if (files.length === 0) throw new Error(`no test matches; is ${here} built?`);
const report = createWriteStream(REPORT);
const total: Counts = { passed: 0, failed: 0, skipped: 0 };
for (const file of files) {
  const counts = await runFile(file, report);
  total.passed += counts.passed;
  total.failed += counts.failed;
  total.skipped += counts.skipped;
}
report.end();
for (const left of allLeft().filter((one) => !before.has(one))) {
  process.stdout.write(`left behind: ${left}\n`);
  total.failed++;
}
if (total.failed > 0) process.stdout.write(`the whole report is in ${REPORT}\n`);
if (total.skipped > 0) process.stdout.write(`${total.skipped} skipped, each with its reason above\n`);
process.stdout.write(`${total.passed} passed, ${total.failed} failed\n`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
