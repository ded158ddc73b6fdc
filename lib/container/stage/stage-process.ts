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
import { decodeError } from '../../supervise/error-wire.js';
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
  private readonly child: ChildProcess;
  private readonly ends = new ProgramEnds();
  private readonly handover: number;
  private readonly hello: Promise<StageHello | undefined>;
  private channel: Duplex | undefined;
  /** Its descriptor. */
  private speaking: number | undefined;
  private terminal: number | undefined;
  private running: RunningProgram | undefined;
  private connecting: Promise<void> = Promise.resolve();
  private failure: unknown;
  /** It has become the program, or was ended: its descriptors are others' by now. */
  private isOver = false;
  /** The ends of its streams are who prepares it's. */
  private isHandedOver = false;
  readonly exited: Promise<ExitCode>;

  /** In a new pid namespace, or in that of a process. */
  constructor(member?: number) {
    const [ours, theirs] = check(socketPair(), { operation: 'start a stage' });
    this.handover = ours;
    const start = hasTrustedAttributes() ? spawnBetweenNamespaces : spawnByTool;
    try {
      this.child = start(member, [...this.ends.theirs, 'pipe', theirs]);
    } finally {
      this.ends.closeTheirs();
      close(theirs);
    }
    this.exited = new Promise((resolve) => {
      this.child.on('error', () => resolve(SIGNAL_BASE));
      this.child.on('exit', (code, signal) =>
        resolve(signal === null ? (code ?? 0) : SIGNAL_BASE + constants.signals[signal]),
      );
    });
    this.hello = this.#hear(this.child.stdio[3] as Duplex);
  }

  async #hear(stream: Duplex): Promise<StageHello | undefined> {
    // A tool between us and the stage has the stream too, so its end is not to be waited for.
    for await (const hello of readValues<StageHello>(stream, { longest: LONGEST_WORD })) return hello;
    return undefined;
  }

  /**
   * Gives the stage its plan; settles when it has become the program. `isolated` is called when its network
   * namespace is there, `prepare` when everything else is; both are waited for. Throws a ContainerFailure.
   */
  async run(plan: StagePlan, prepare: Prepare, isolated?: (pid: number) => Promise<void>): Promise<void> {
    try {
      const hello = await this.hello;
      if (hello === undefined)
        throw new OverlayError({ operation: 'start a stage', reason: 'it has failed' });
      const { pid } = hello;
      // It was sent before the hello, so this does not wait.
      const fd = check(receiveDescriptor(this.handover), { operation: 'speak to a stage' });
      this.speaking = fd;
      this.channel = new Socket({ fd });
      writeValue(this.channel, plan);
      for await (const word of readValues<StageWord>(this.channel, { longest: LONGEST_WORD }))
        this.#answer(word, pid, prepare, isolated);
      await this.connecting;
      if (this.failure !== undefined) throw this.failure;
      this.isOver = true;
      this.#hangUp();
      close(this.handover);
    } catch (failure) {
      await this.connecting;
      this.discard();
      throw failure;
    }
  }

  #answer(word: StageWord, pid: number, prepare: Prepare, isolated?: (pid: number) => Promise<void>): void {
    switch (word.kind) {
      case 'failed':
        throw decodeError(word.failure, (story, code) => new ContainerFailure(story, code));
      case 'terminal':
        // It was sent before the word, so this does not wait.
        this.terminal = check(receiveDescriptor(this.handover), { operation: 'receive the terminal' });
        break;
      case 'isolated':
        this.connecting = this.#attempt(async () => isolated?.(pid));
        break;
      case 'prepared':
        this.connecting = this.#letGoOn(() => prepare(this.#handOver(pid)));
        break;
    }
  }

  /** When it has been prepared, another server may let it go on in our place: nothing else may be missing then. */
  async #letGoOn(prepare: () => void): Promise<void> {
    await this.connecting;
    if (this.failure === undefined) await this.#attempt(async () => prepare());
    if (this.failure === undefined) this.channel!.write(GO_ON);
  }

  #hangUp(): void {
    if (this.running !== undefined) this.running.channel = undefined;
    this.channel?.destroy();
  }

  #handOver(pid: number): RunningProgram {
    const { terminal, exited } = this;
    const process = check(openProcess(pid), { operation: 'watch the program' });
    this.isHandedOver = true;
    if (terminal !== undefined) this.ends.closeOurs();
    const streams = terminal === undefined ? this.ends.ours : { terminal };
    this.running = { pid, process, exited, streams, channel: this.speaking };
    return this.running;
  }

  /** Beside what the stage does meanwhile: its own failure is heard first. */
  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (failure) {
      this.failure ??= failure;
      this.child.kill('SIGKILL');
    }
  }

  /** Ends a stage that has become nothing yet. */
  discard(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.child.kill('SIGKILL');
    this.#hangUp();
    close(this.handover);
    if (this.isHandedOver) return;
    this.ends.closeOurs();
    if (this.terminal !== undefined) close(this.terminal);
  }
}
