// SPDX-License-Identifier: MIT
/**
 * One compiled test file as the runner sees it. What a file needs it says in the comment at its head:
 *
 *   @alone: REASON      no other file runs meanwhile
 *   @internet: REASON   its network namespace reaches the outside
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { listMounts } from '../../lib/sys/mounts.js';

export const ISOLATED = join(process.cwd(), 'test/support/isolated.sh');

/** After its own end of patience (tap's) a file has this long to say so. */
const GRACE_SECONDS = 60;

export interface Result {
  passed: number;
  failed: number;
  skipped: number;
  /** What it left behind. */
  left: string[];
}

/** tap's own last line: `# { total: 4, pass: 3, fail: 1, skip: 1 }`. */
function readTotals(line: string): Omit<Result, 'left'> | undefined {
  if (!/^# \{ total: \d+/.test(line)) return undefined;
  const field = (name: string): number => Number(new RegExp(`\\b${name}: (\\d+)`).exec(line)?.[1] ?? 0);
  return { passed: field('pass'), failed: field('fail'), skipped: field('skip') };
}

export class TestFile {
  readonly isAlone: boolean;
  readonly #needsInternet: boolean;
  readonly #path: string;
  /** All that it printed. */
  output = '';
  /** For people: what failed and what explains it, what is left, and the verdict. */
  summary = '';
  #child: ChildProcess | undefined;
  #inFailure = false;

  constructor(
    directory: string,
    readonly name: string,
  ) {
    this.#path = join(directory, name);
    const source = readFileSync(this.#path, 'utf8');
    this.isAlone = /^ \* @alone: /m.test(source);
    this.#needsInternet = /^ \* @internet: /m.test(source);
  }

  async run(canIsolate: boolean): Promise<Result> {
    const started = Date.now();
    const result = await (canIsolate ? this.#runIsolated() : this.#runInTheOpen());
    this.#conclude(result, (Date.now() - started) / 1000);
    return result;
  }

  #runIsolated(): Promise<Result> {
    const options = this.#needsInternet ? ['--internet'] : [];
    return this.#run(['sh', ISOLATED, ...options], {});
  }

  async #runInTheOpen(): Promise<Result> {
    // All that it makes without a name of its own is in here; what others have is not.
    const directory = mkdtempSync(join(tmpdir(), 'tsoverlay-tests-'));
    const result = await this.#run([], { TMPDIR: directory });
    const mounts = listMounts().filter(({ target }) => target.startsWith(`${directory}/`));
    const names = readdirSync(directory).map((name) => join(directory, name));
    result.left.push(
      ...mounts.map(({ target }) => `mount ${target}`),
      ...names.map((name) => `file ${name}`),
    );
    for (const left of result.left) this.#line(`# left behind: ${left}`);
    if (mounts.length === 0) rmSync(directory, { recursive: true });
    return result;
  }

  async #run(wrapper: readonly string[], environment: Record<string, string>): Promise<Result> {
    const patience = Number(process.env.TAP_TIMEOUT ?? 900);
    const program = [process.execPath, '--enable-source-maps', this.#path];
    // A runner that is killed takes the file with it.
    const child = spawn('setpriv', ['--pdeathsig', 'TERM', ...wrapper, ...program], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environment, TAP_TIMEOUT: String(patience) },
    });
    this.#child = child;
    const timer = setTimeout(() => this.stop(), (patience + GRACE_SECONDS) * 1000);
    const result: Result = { passed: 0, failed: 0, skipped: 0, left: [] };
    let hasTotals = false;
    const read = (line: string): void => {
      const totals = readTotals(line);
      hasTotals ||= totals !== undefined;
      Object.assign(result, totals);
      const left = /^# left behind: (.*)/.exec(line)?.[1];
      if (left !== undefined) result.left.push(left);
    };
    child.stderr.setEncoding('utf8').on('data', (text: string) => this.#print(text));
    createInterface({ input: child.stdout }).on('line', (line) => {
      read(line);
      this.#line(line);
    });
    const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
    clearTimeout(timer);
    // A file that died before its last line has failed, whatever it counted.
    if (!hasTotals || (status !== 0 && result.failed + result.left.length === 0)) result.failed++;
    return result;
  }

  /** Ends it, and all that it started. */
  stop(): void {
    this.#child?.kill('SIGTERM');
  }

  #print(text: string): void {
    this.output += text;
    this.summary += text;
  }

  #line(line: string): void {
    this.output += `${line}\n`;
    if (/^ *(not )?ok /.test(line)) this.#inFailure = /^ *not ok /.test(line);
    const isComment = /^ *# (seed|[A-Z]+_SEED=|Error|step|kernel|ours|left behind|\[)/.test(line);
    if (this.#inFailure || isComment || /# SKIP/.test(line)) this.summary += `${line}\n`;
  }

  #conclude({ passed, failed, left }: Result, seconds: number): void {
    const verdict = failed + left.length === 0 ? 'ok' : 'FAILED';
    this.summary += `${verdict} ${this.name}: ${passed} passed, ${seconds.toFixed(1)} s\n`;
  }
}
