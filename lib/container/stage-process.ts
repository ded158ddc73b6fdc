// SPDX-License-Identifier: MIT
/**
 * Starting stages (stage.ts) from a container's server.
 *
 * A pid namespace is entered by the children of who asks for it alone, so the main
 * thread asks, starts the stage, and goes back to its own, all before anything else
 * runs on it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { check, OverlayError } from '../base/errors.js';
import { receiveDescriptor, socketPair } from '../sys/channels.js';
import { close } from '../sys/files.js';
import { enterNamespaceAt, namespacePath, unshareNamespaces } from '../sys/namespaces.js';
import { ContainerFailure } from './failure.js';
import { ProgramEnds } from './program-ends.js';
import type { ExitCode, RunningProgram } from './runtime.js';
import type { StagePlan, StageWord } from './stage-plan.js';

const SIGNAL_BASE = 128;

/** A stage that waits for its plan. */
export class Stage {
  private readonly child: ChildProcess;
  private readonly channel: Duplex;
  private readonly ends = new ProgramEnds();
  private readonly terminalSocket: number;
  private terminal: number | undefined;
  readonly exited: Promise<ExitCode>;

  /** In a new pid namespace, or in that of a process. */
  constructor(member?: number) {
    const pair = socketPair();
    if (typeof pair === 'number') throw new OverlayError({ operation: 'start a stage', errno: pair });
    const [ours, theirs] = pair;
    this.terminalSocket = ours;
    try {
      this.child = this.#spawn(member, [...this.ends.theirs, 'pipe', theirs]);
    } finally {
      this.ends.closeTheirs();
      close(theirs);
    }
    this.channel = this.child.stdio[3] as Duplex;
    this.exited = new Promise((resolve) => {
      this.child.on('exit', (code, signal) =>
        resolve(signal === null ? (code ?? 0) : SIGNAL_BASE + constants.signals[signal]),
      );
    });
  }

  #spawn(member: number | undefined, stdio: (number | 'pipe')[]): ChildProcess {
    const story = { operation: 'make a pid namespace' };
    if (member === undefined) check(unshareNamespaces(['pid']), story);
    else check(enterNamespaceAt(namespacePath(member, 'pid'), 'pid'), story);
    try {
      const main = fileURLToPath(new URL('./stage.js', import.meta.url));
      return spawn(process.execPath, [main], { stdio, cwd: '/', env: {} });
    } finally {
      check(enterNamespaceAt(namespacePath('self', 'pid'), 'pid'), story);
    }
  }

  get pid(): number {
    return this.child.pid!;
  }

  /**
   * Gives the stage its plan; settles when it has become the program. `isolated` is
   * called when its network namespace is there, and waited for before it goes on.
   * Throws a ContainerFailure.
   */
  async run(plan: StagePlan, isolated?: (pid: number) => Promise<void>): Promise<RunningProgram> {
    this.channel.write(`${JSON.stringify(plan)}\n`);
    try {
      for await (const word of this.#words()) await this.#answer(word, isolated);
    } catch (failure) {
      this.discard();
      throw failure;
    }
    this.channel.destroy();
    close(this.terminalSocket);
    const { terminal, pid, exited } = this;
    if (terminal === undefined) return { pid, exited, streams: this.ends.ours };
    this.ends.closeOurs();
    return { pid, exited, streams: { terminal } };
  }

  async *#words(): AsyncGenerator<StageWord> {
    let received = '';
    for await (const chunk of this.channel.setEncoding('utf8')) {
      received += chunk;
      for (let end = received.indexOf('\n'); end >= 0; end = received.indexOf('\n')) {
        yield JSON.parse(received.slice(0, end)) as StageWord;
        received = received.slice(end + 1);
      }
    }
  }

  async #answer(word: StageWord, isolated?: (pid: number) => Promise<void>): Promise<void> {
    switch (word.kind) {
      case 'failed':
        throw new ContainerFailure(word.story, word.code);
      case 'terminal':
        // It was sent before the word, so this does not wait.
        this.terminal = check(receiveDescriptor(this.terminalSocket), { operation: 'receive the terminal' });
        break;
      case 'isolated':
        await isolated?.(this.pid);
        this.channel.write('go on\n');
        break;
    }
  }

  /** Ends a stage that has become nothing yet. */
  discard(): void {
    this.child.kill('SIGKILL');
    this.channel.destroy();
    this.ends.closeOurs();
    close(this.terminalSocket);
    if (this.terminal !== undefined) close(this.terminal);
  }
}
