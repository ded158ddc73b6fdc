// SPDX-License-Identifier: MIT
/**
 * Runs the compiled tests, one process a file, and closes with `N passed, N failed`.
 * Fails when a test failed, when none ran, and when a file left anything behind.
 *
 *   node dist/test/run.js [PART…]     a part is a folder or a file: mount, mount/lifecycle
 *
 * TAP_TIMEOUT is how many seconds one file may take, TEST_JOBS how many files run at once,
 * TEST_REPORT where the whole output goes.
 *
 * Each file is a tap program of its own, in namespaces of its own (support/isolated.sh).
 * tap's runner is left out: it hooks its TypeScript loader into every program that a test
 * starts, the server included.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { ISOLATED, type Result, TestFile } from './support/test-file.js';

const here = new URL('.', import.meta.url).pathname;
const REPORT = process.env.TEST_REPORT ?? 'dist/test-results.tap';
const JOBS = Number(process.env.TEST_JOBS ?? Math.min(2, availableParallelism()));

function testFiles(parts: readonly string[]): TestFile[] {
  const all = readdirSync(here, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.js'))
    .sort();
  const wanted = parts.length === 0 ? all : all.filter((name) => parts.some((part) => belongsTo(name, part)));
  return wanted.map((name) => new TestFile(here, name));
}

function belongsTo(name: string, part: string): boolean {
  return name === `${part}.test.js` || name.startsWith(`${part}/`);
}

/** Whether files can have namespaces of their own; says why, if not. */
function canIsolate(): boolean {
  const { status, stderr } = spawnSync('sh', [ISOLATED, 'true'], { encoding: 'utf8' });
  if (status === 0) return true;
  const reason = stderr.trim().split('\n')[0];
  process.stderr.write(
    `the tests cannot have namespaces of their own here (${reason}): they run one after the other on the machine as it is, and those that mount or start containers may fail; run them as root, in a container with --privileged\n`,
  );
  return false;
}

class Run {
  readonly total: Result = { passed: 0, failed: 0, skipped: 0, left: [] };
  readonly #running = new Set<TestFile>();
  #isStopped = false;

  constructor(readonly canIsolate: boolean) {}

  /** So many at once. */
  async files(files: readonly TestFile[], jobs: number): Promise<void> {
    const waiting = [...files];
    const next = async (): Promise<void> => {
      for (let file = waiting.shift(); file !== undefined && !this.#isStopped; file = waiting.shift()) {
        await this.#file(file);
      }
    };
    await Promise.all(Array.from({ length: jobs }, next));
  }

  async #file(file: TestFile): Promise<void> {
    this.#running.add(file);
    const { passed, failed, skipped, left } = await file.run(this.canIsolate);
    this.#running.delete(file);
    this.total.passed += passed;
    this.total.failed += failed + left.length;
    this.total.skipped += skipped;
    writeFileSync(REPORT, file.output, { flag: 'a' });
    process.stdout.write(file.summary);
  }

  stop(): void {
    this.#isStopped = true;
    for (const file of this.#running) file.stop();
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }
}

async function main(): Promise<number> {
  const files = testFiles(process.argv.slice(2));
  if (files.length === 0) throw new Error(`no test matches; is ${here} built?`);
  writeFileSync(REPORT, '');
  const run = new Run(canIsolate());
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => run.stop());
  await run.files(
    files.filter((file) => !file.isAlone),
    run.canIsolate ? JOBS : 1,
  );
  await run.files(
    files.filter((file) => file.isAlone),
    1,
  );
  const { passed, failed, skipped } = run.total;
  if (failed > 0) process.stdout.write(`the whole report is in ${REPORT}\n`);
  if (skipped > 0) process.stdout.write(`${skipped} skipped, each with its reason above\n`);
  if (run.isStopped) process.stdout.write('stopped before the end\n');
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  return failed > 0 || passed === 0 || run.isStopped ? 1 : 0;
}

process.exitCode = await main();
