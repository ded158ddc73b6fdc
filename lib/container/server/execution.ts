// SPDX-License-Identifier: MIT
/** A program that is run beside a container's own, in its namespaces (`tsoverlay exec`). */
import { Outlet } from '../program/outlet.js';
import { type KeptProgram, Program } from '../program/program.js';
import { ProgramMemory } from '../program/program-memory.js';
import type { ExitCode } from '../runtime/runtime.js';
import { runtimeSpec, type SpecProcess } from '../spec/runtime-spec.js';
import { type ContainerConfig, hostnameOf } from '../state/config.js';
import type { ExecRequest } from '../wire/protocol.js';
import type { KeptExecution } from './container-memory.js';
import { accountIn, capabilitiesFor } from './container-spec.js';
import type { ContainerResources } from './resources.js';

/** A program that it left in the background may hold its streams; nobody waits for that. */
const LAST_WORDS_MS = 200;

/** The container that a program is run in. */
export interface ExecutionHost {
  readonly config: ContainerConfig;
  readonly resources: ContainerResources;
  /** Its program, as the server sees its number. */
  readonly pid: number;
}

export class Execution {
  /** Settles with the exit code when nothing of it is left. */
  readonly ended: Promise<ExitCode>;

  constructor(
    /** By which its client finds it again. */
    readonly key: string,
    readonly isDetached: boolean,
    readonly isTerminal: boolean,
    readonly program: Program,
  ) {
    this.ended = program.ended(LAST_WORDS_MS).then((code) => {
      program.close();
      return code;
    });
  }

  static resume({ key, isDetached, isTerminal, program }: KeptExecution): Execution {
    const memory = new ProgramMemory(program.memory);
    return new Execution(key, isDetached, isTerminal, Program.resume(program, memory, new Outlet()));
  }

  keptWith(program: KeptProgram): KeptExecution {
    const { key, isDetached, isTerminal } = this;
    return { key, isDetached, isTerminal, program };
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
 * Settles when the program runs; `begun` is called a little before, when it is to be kept.
 * Throws a ContainerFailure when it cannot be run.
 */
export async function execute(
  host: ExecutionHost,
  key: string,
  request: ExecRequest,
  isDetached: boolean,
  begun: (execution: Execution) => void,
): Promise<Execution> {
  const { terminal, interactive, size } = request;
  let execution: Execution | undefined;
  const entry = {
    ...processFor(host, request),
    member: host.pid,
    cgroupFiles: host.resources.cgroup?.processFiles ?? [],
    hasInput: interactive,
  };
  // Where it cannot be run its end is seen as any other's, and what it has is given back then.
  await host.resources.runtime.enter(entry, (running) => {
    const memory = ProgramMemory.make(terminal);
    const program = Program.begin(running, memory, new Outlet());
    if (!interactive) program.streams.endInput();
    execution = new Execution(key, isDetached, terminal, program);
    begun(execution);
  });
  if (size !== undefined) execution!.program.streams.resize(size);
  return execution!;
}
