// SPDX-License-Identifier: MIT
/** A program that is run beside a container's own, in its namespaces (`tsoverlay exec`). */
import type { HeldList } from '../../supervise/held.js';
import { Outlet } from '../program/outlet.js';
import { Program } from '../program/program.js';
import { ProgramMemory } from '../program/program-memory.js';
import type { ExitCode, RunningProgram } from '../runtime/runtime.js';
import { runtimeSpec, type SpecProcess } from '../spec/runtime-spec.js';
import { type ContainerConfig, hostnameOf } from '../state/config.js';
import type { ExecRequest } from '../wire/protocol.js';
import type { ExecutionTerms, KeptExecution } from './container-memory.js';
import { accountIn, capabilitiesFor } from './container-spec.js';
import type { LiveState } from './live-state.js';
import type { OwnProgram } from './own-program.js';
import type { Resources } from './resources.js';

/** A program that it left in the background may hold its streams; nobody waits for that. */
const EXEC_LAST_WORDS_MS = 200;

/** The container that a program is run in. */
export interface ExecutionHost {
  readonly config: ContainerConfig;
  readonly state: LiveState;
  readonly own: OwnProgram;
  readonly resources: Resources;
}

export class Execution {
  /** Settles with the exit code when nothing of it is left. */
  readonly ended: Promise<ExitCode>;

  private constructor(
    private readonly terms: ExecutionTerms,
    readonly program: Program,
  ) {
    this.ended = program.ended(EXEC_LAST_WORDS_MS).then((code) => {
      program.close();
      return code;
    });
  }

  /** One that is just being started. */
  static begin(terms: ExecutionTerms, running: RunningProgram, inputEnded: () => void): Execution {
    const memory = ProgramMemory.make(terms.isTerminal);
    const outlet = new Outlet(memory);
    return new Execution(terms, Program.begin(running, { memory, outlet, inputEnded }));
  }

  /** One that an earlier server has started. */
  static takeOver({ program: kept, ...terms }: KeptExecution, inputEnded: () => void): Execution {
    const memory = new ProgramMemory(kept.memory);
    const outlet = new Outlet(memory);
    return new Execution(terms, Program.takeOver(kept, { memory, outlet, inputEnded }));
  }

  get key(): string {
    return this.terms.key;
  }

  get isTerminal(): boolean {
    return this.terms.isTerminal;
  }

  keepIn(list: HeldList): KeptExecution {
    return { ...this.terms, program: this.program.keepIn(list) };
  }
}

function processFor(
  { config, resources }: ExecutionHost,
  request: ExecRequest,
): {
  process: SpecProcess;
  seccomp: ReturnType<typeof runtimeSpec>['linux']['seccomp'];
} {
  const { image, options } = config;
  const privileged = request.privileged || options.privileged;
  const spec = runtimeSpec(
    {
      image: image.config,
      account: accountIn(resources.view, request.user ?? options.user ?? image.config.User ?? ''),
      hostname: hostnameOf(config),
      command: request.args,
      entrypoint: [],
      env: [...options.env, ...request.env],
      cwd: request.cwd ?? options.cwd,
      terminal: request.terminal,
      capabilities: capabilitiesFor({ ...options, privileged }),
      noNewPrivileges: options.noNewPrivileges,
      privileged,
      unfiltered: options.unfiltered,
      limits: options.limits,
    },
    '/',
  );
  return { process: spec.process, seccomp: spec.linux.seccomp };
}

/**
 * Settles when the program runs; `begin` makes an execution of it a little before, when all of it is there.
 * Throws a ContainerFailure when it cannot be run.
 */
export async function execute(
  host: ExecutionHost,
  request: ExecRequest,
  begin: (running: RunningProgram) => Execution,
): Promise<Execution> {
  const { interactive, size } = request;
  const { own, resources } = host;
  const entry = {
    ...processFor(host, request),
    member: own.requireRunning().pid,
    cgroupFiles: resources.cgroup?.processFiles ?? [],
    hasInput: interactive,
  };
  // Where it cannot be run its end is seen as any other's, and what it has is given back then.
  const execution = await resources.runtime.enter(entry, begin);
  if (size !== undefined) execution.program.streams.resize(size);
  return execution;
}
