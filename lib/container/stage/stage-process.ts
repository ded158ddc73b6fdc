// SPDX-License-Identifier: MIT
/**
 * Starting stages (stage.ts) from a container's server.
 *
 * A pid namespace is entered by the children of who asks for it alone, so the main
 * thread asks, starts the stage, and goes back to its own, all before anything else
 * runs on it. Only root of the machine may go back (setns(2)); for others a tool of
 * util-linux goes there in our place and stays as the stage's parent. A stage that has
 * not become the program yet ends with us, as nobody is at the other end of its channel.
 */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { constants } from 'node:os';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { check, OverlayError } from '../../base/errors.js';
import { Rollback } from '../../base/rollback.js';
import { decodeError, type WireError } from '../../supervise/error-wire.js';
import { readValues, writeValue } from '../../supervise/json-lines.js';
import { receiveDescriptor, socketPair } from '../../sys/channels.js';
import { close } from '../../sys/files.js';
import { enterNamespaceAt, namespacePath, unshareNamespaces } from '../../sys/namespaces.js';
import { hasTrustedAttributes } from '../../sys/privilege.js';
import { openProcess } from '../../sys/processes.js';
import { ProgramEnds } from '../runtime/program-ends.js';
import type { ExitCode, Prepare, RunningProgram } from '../runtime/runtime.js';
import { ContainerFailure } from '../state/failure.js';
import { GO_ON, type StageHello, type StagePlan, type StageWord } from './stage-plan.js';

const SIGNAL_BASE = 128;
/** Characters; an error with a path and a stack. */
const LONGEST_WORD = 1 << 20;
const STAGE = fileURLToPath(new URL('./stage.js', import.meta.url));

function spawnBetweenNamespaces(member: number | undefined, stdio: StdioOptions): ChildProcess {
  const story = { operation: 'make a pid namespace' };
  if (member === undefined) check(unshareNamespaces(['pid']), story);
  else check(enterNamespaceAt(namespacePath(member, 'pid'), 'pid'), story);
  try {
    return spawn(process.execPath, [STAGE], { stdio, cwd: '/', env: {} });
  } finally {
    check(enterNamespaceAt(namespacePath('self', 'pid'), 'pid'), story);
  }
}

/** unshare(1) ends the stage when it is ended itself. */
function spawnByTool(member: number | undefined, stdio: StdioOptions): ChildProcess {
  const [tool, ...options] =
    member === undefined
      ? ['unshare', '--pid', '--fork', '--kill-child=KILL']
      : ['nsenter', `--pid=${namespacePath(member, 'pid')}`];
  const command = [...options, '--', process.execPath, STAGE];
  return spawn(tool, command, { stdio, cwd: '/', env: { PATH: process.env.PATH } });
}

/** A stage that waits for its plan. */
export class Stage {
  readonly #child: ChildProcess;
  readonly #ends = new ProgramEnds();
  readonly #handover: number;
  readonly #hello: Promise<StageHello | undefined>;
  readonly #exited: Promise<ExitCode>;
  /** It has been given its plan, or was ended. */
  #isUsed = false;

  /** In a new pid namespace, or in that of a process. */
  constructor(member?: number) {
    const [ours, theirs] = check(socketPair(), { operation: 'start a stage' });
    this.#handover = ours;
    const start = hasTrustedAttributes() ? spawnBetweenNamespaces : spawnByTool;
    try {
      this.#child = start(member, [...this.#ends.theirs, 'pipe', theirs]);
    } finally {
      this.#ends.closeTheirs();
      close(theirs);
    }
    this.#exited = new Promise((resolve) => {
      this.#child.on('error', () => resolve(SIGNAL_BASE));
      this.#child.on('exit', (code, signal) =>
        resolve(signal === null ? (code ?? 0) : SIGNAL_BASE + constants.signals[signal]),
      );
    });
    this.#hello = this.#hear(this.#child.stdio[3] as Duplex);
  }

  async #hear(stream: Duplex): Promise<StageHello | undefined> {
    // A tool between us and the stage has the stream too, so its end is not to be waited for.
    for await (const hello of readValues<StageHello>(stream, { longest: LONGEST_WORD })) return hello;
    return undefined;
  }

  /**
   * Gives the stage its plan; settles when it has become the program, with what `prepare` made of it when
   * everything else was there. `connect` is called when its network namespace is. Throws a ContainerFailure.
   */
  async run<T>(plan: StagePlan, prepare: Prepare<T>, connect?: (pid: number) => Promise<void>): Promise<T> {
    this.#isUsed = true;
    using over = new Rollback();
    over.push(() => close(this.#handover));
    // What is ours until it is handed over.
    using undo = new Rollback();
    undo.push(() => this.#ends.closeOurs());
    let connected: Promise<void> = Promise.resolve();
    let prepared: Promise<T> | undefined;
    try {
      const { pid } = (await this.#hello) ?? this.#fail();
      // It was sent before the hello, so this does not wait.
      const speaking = check(receiveDescriptor(this.#handover), { operation: 'speak to a stage' });
      const channel = new Socket({ fd: speaking });
      over.push(() => channel.destroy());
      writeValue(channel, plan);
      let terminal: number | undefined;
      for await (const word of readValues<StageWord>(channel, { longest: LONGEST_WORD })) {
        if (word.kind === 'failed') throw toFailure(word.failure);
        if (word.kind === 'terminal') terminal = this.#receiveTerminal(undo);
        else if (word.kind === 'isolated') connected = this.#beside(async () => connect?.(pid));
        else {
          prepared = this.#beside(async () => {
            // Another server may let it go on in our place from `prepare` on: nothing else may be missing then.
            await connected;
            const process = check(openProcess(pid), { operation: 'watch the program' });
            undo.commit();
            const running = { pid, process, exited: this.#exited, streams: this.#streams(terminal) };
            const made = prepare({
              ...running,
              get channel() {
                return channel.destroyed ? undefined : speaking;
              },
            });
            channel.write(GO_ON);
            return made;
          });
        }
      }
      await connected;
      return await (prepared ?? this.#fail());
    } catch (failure) {
      await Promise.allSettled([connected, prepared]);
      this.#child.kill('SIGKILL');
      throw failure;
    }
  }

  /** The program's, with a terminal or without. */
  #streams(terminal: number | undefined): RunningProgram['streams'] {
    if (terminal === undefined) return this.#ends.ours;
    this.#ends.closeOurs();
    return { terminal };
  }

  #receiveTerminal(undo: Rollback): number {
    // It was sent before the word, so this does not wait.
    const terminal = check(receiveDescriptor(this.#handover), { operation: 'receive the terminal' });
    undo.push(() => close(terminal));
    return terminal;
  }

  #fail(): never {
    throw new OverlayError({ operation: 'start a stage', reason: 'it has failed' });
  }

  /** Beside what the stage does meanwhile, whose own failure is heard first; where this fails the stage ends. */
  #beside<R>(work: () => Promise<R>): Promise<R> {
    const done = work();
    done.catch(() => this.#child.kill('SIGKILL'));
    return done;
  }

  /** Ends a stage that was given no plan. */
  discard(): void {
    if (this.#isUsed) return;
    this.#isUsed = true;
    this.#child.kill('SIGKILL');
    close(this.#handover);
    this.#ends.closeOurs();
  }
}

function toFailure(failure: WireError): OverlayError {
  return decodeError(failure, (story, code) => new ContainerFailure(story, code));
}
