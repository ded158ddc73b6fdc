// SPDX-License-Identifier: MIT
/**
 * A container started by runc or crun, through the commands that the runtime-spec
 * names (runtime.md, "Operations"). The runtime leaves the program behind as a child
 * of this process, which is why it adopts orphans; our own signals, figures and
 * pauses reach it as they reach any other.
 *
 *   containers/ID/config.json   the configuration: the container's directory is the bundle
 *   RUNTIME_DIRECTORY/NAME/     what the runtime keeps
 */
import { spawn } from 'node:child_process';
import { readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { cryptography } from '../../base/builtins.js';
import { check, OverlayError } from '../../base/errors.js';
import { prepareRuntimeDirectory, runtimeDirectory } from '../../supervise/runtime-directory.js';
import { acceptFrom, listenAt, receiveDescriptor } from '../../sys/channels.js';
import { adoptOrphans } from '../../sys/children.js';
import { close, Fd } from '../../sys/files.js';
import { openProcess } from '../../sys/processes.js';
import { ProgramEnds } from '../runtime/program-ends.js';
import type { Entry, Launch, Prepare, RunningProgram, Runtime } from '../runtime/runtime.js';
import type { Container } from '../state/containers.js';
import { CODE_FAILED, CODE_NOT_EXECUTABLE, CODE_NOT_FOUND, ContainerFailure } from '../state/failure.js';
import type { RuntimeName } from '../state/names.js';
import { exitOfAdopted } from './adopted-process.js';

/** What the runtimes say of a program that cannot be run; neither has codes of its own for it. */
function codeFor(message: string): number {
  if (/executable file .*not found|no such file or directory/i.test(message)) return CODE_NOT_FOUND;
  return /permission denied|exec format error|is a directory/i.test(message)
    ? CODE_NOT_EXECUTABLE
    : CODE_FAILED;
}

/** Files of one call, which are gone when it is over. */
class CallFiles implements Disposable {
  readonly #base = join(runtimeDirectory(), `call-${cryptography().randomBytes(6).toString('hex')}`);
  readonly #listener: Fd | undefined;

  constructor(terminal: boolean) {
    if (terminal) this.#listener = new Fd(check(listenAt(this.console), { operation: 'open a terminal' }));
  }

  get console(): string {
    return `${this.#base}.sock`;
  }

  get pidFile(): string {
    return `${this.#base}.pid`;
  }

  get process(): string {
    return `${this.#base}.json`;
  }

  get log(): string {
    return `${this.#base}.log`;
  }

  /** Precondition: the runtime has ended well, so the terminal is on its way and nothing is waited for. */
  receiveTerminal(): number {
    const story = { operation: 'receive the terminal' };
    using socket = new Fd(check(acceptFrom(this.#listener!.number), story));
    return check(receiveDescriptor(socket.number), story);
  }

  [Symbol.dispose](): void {
    this.#listener?.close();
    for (const path of [this.console, this.pidFile, this.process, this.log]) rmSync(path, { force: true });
  }
}

export class OciRuntime implements Runtime {
  constructor(
    private readonly name: Exclude<RuntimeName, 'builtin'>,
    private readonly container: Container,
  ) {}

  async start<T>({ spec, hasInput, connect }: Launch, prepare: Prepare<T>): Promise<T> {
    // What a killed server left would be in the way.
    await this.forget();
    const { directory, id } = this.container;
    writeFileSync(join(directory, 'config.json'), JSON.stringify(spec, null, 2), { mode: 0o600 });
    const program = await this.#run(spec.process.terminal, hasInput, ({ pidFile, console }) => [
      'create',
      '--bundle',
      directory,
      '--pid-file',
      pidFile,
      ...(spec.process.terminal ? ['--console-socket', console] : []),
      id,
    ]);
    let isHandedOver = false;
    try {
      // When it has been prepared, another server may let it go on in our place: nothing else may be missing then.
      await connect?.(program.pid);
      isHandedOver = true;
      const prepared = prepare(program);
      await this.#begin();
      return prepared;
    } catch (failure) {
      await this.forget();
      if (!isHandedOver) closeDescriptors(program);
      throw failure;
    }
  }

  async #begin(): Promise<void> {
    using files = new CallFiles(false);
    await this.#call(files, ['start', this.container.id], ['ignore', 'ignore', 'pipe']);
  }

  /** What a server had begun with before it was killed may come to its end beside this. */
  async goOn(): Promise<void> {
    if ((await this.#status()) !== 'created') return;
    try {
      await this.#begin();
    } catch (failure) {
      if ((await this.#status()) === 'created') throw failure;
    }
  }

  async #status(): Promise<string> {
    using files = new CallFiles(false);
    const said = await this.#call(files, ['state', this.container.id], ['ignore', 'pipe', 'pipe']);
    return (JSON.parse(said) as { status: string }).status;
  }

  async enter<T>({ process: program, hasInput }: Entry, prepare: Prepare<T>): Promise<T> {
    const running = await this.#run(program.terminal, hasInput, (files) => {
      writeFileSync(files.process, JSON.stringify(program), { mode: 0o600 });
      return [
        'exec',
        '--detach',
        '--process',
        files.process,
        '--pid-file',
        files.pidFile,
        ...(program.terminal ? ['--console-socket', files.console] : []),
        this.container.id,
      ];
    });
    // It runs already; a server that ends before this line leaves it without anybody to hear it.
    return prepare(running);
  }

  async forget(): Promise<void> {
    prepareRuntimeDirectory();
    using files = new CallFiles(false);
    await this.#call(files, ['delete', '--force', this.container.id], ['ignore', 'ignore', 'pipe']).catch(
      (failure) => {
        // crun complains about what is not there, runc does not.
        if (!/does not exist|No such file/.test((failure as Error).message)) throw failure;
      },
    );
    removeEmptyDirectory(join(runtimeDirectory(), this.name));
  }

  /** Lets the runtime start a program, and takes it in. */
  async #run(
    terminal: boolean,
    hasInput: boolean,
    compose: (files: CallFiles) => string[],
  ): Promise<RunningProgram> {
    check(adoptOrphans(), { operation: 'become the parent of the program' });
    using files = new CallFiles(terminal);
    if (terminal) {
      await this.#call(files, compose(files), ['ignore', 'ignore', 'pipe']);
      return this.#adopt(files, { terminal: files.receiveTerminal() });
    }
    const ends = new ProgramEnds();
    const [input, output, errors] = ends.theirs;
    try {
      await this.#call(files, compose(files), [hasInput ? input : 'ignore', output, errors]);
    } catch (failure) {
      ends.closeOurs();
      throw failure;
    } finally {
      ends.closeTheirs();
    }
    return this.#adopt(files, ends.ours);
  }

  #adopt({ pidFile }: CallFiles, streams: RunningProgram['streams']): RunningProgram {
    const pid = Number(readFileSync(pidFile, 'latin1'));
    const process = check(openProcess(pid), { operation: 'watch the program' });
    return { pid, process, streams, exited: exitOfAdopted(pid) };
  }

  async #call(
    { log }: CallFiles,
    args: readonly string[],
    stdio: readonly ('ignore' | 'pipe' | number)[],
  ): Promise<string> {
    const root = join(runtimeDirectory(), this.name);
    const child = spawn(this.name, ['--root', root, '--log', log, '--log-format', 'json', ...args], {
      stdio: [...stdio],
      cwd: '/',
    });
    const [output, errors] = [child.stdout, child.stderr].map(async (stream) =>
      stream === null ? '' : await text(stream),
    );
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on('error', (cause) => reject(this.#missing(cause)));
      child.on('exit', resolve);
    });
    if (code === 0) return await output;
    const reason = readMessage(log) ?? (await errors).trim();
    throw new ContainerFailure({ operation: `${this.name} ${args[0]}`, reason }, codeFor(reason));
  }

  #missing(cause: Error): Error {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') return cause;
    return new OverlayError({
      operation: 'start the container',
      path: this.name,
      reason: 'there is no such program on this machine',
      remedy: `install ${this.name}, or leave out --runtime`,
      cause,
    });
  }
}

function closeDescriptors({ process, streams }: RunningProgram): void {
  for (const fd of [process, ...Object.values(streams)]) if (fd !== undefined) close(fd);
}

/** The runtime makes it again when it is asked for the next container. */
function removeEmptyDirectory(path: string): void {
  try {
    rmdirSync(path);
  } catch (failure) {
    const { code } = failure as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'ENOENT') throw failure;
  }
}

/** The last error in a runtime's log. */
function readMessage(log: string): string | undefined {
  let lines: string[];
  try {
    lines = readFileSync(log, 'utf8').trim().split('\n');
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw failure;
  }
  for (const line of lines.reverse()) {
    try {
      const { level, msg } = JSON.parse(line) as { level?: string; msg?: string };
      if (level === 'error' && msg !== undefined) return msg.replaceAll(/\s*\n\s*/g, ' ').trim();
    } catch (failure) {
      if (!(failure instanceof SyntaxError)) throw failure;
    }
  }
  return undefined;
}
