// SPDX-License-Identifier: MIT
/**
 * What turns a container's configuration into a running program: ours (`builtin`), or
 * an OCI runtime of the system. Each takes the same configuration (runtime-spec.ts).
 */
import { nearestName, UsageError } from '../../base/errors.js';
import type { RuntimeSpec, SpecProcess } from '../spec/runtime-spec.js';
import type { Stage } from '../stage/stage-process.js';
import type { Container } from '../state/containers.js';

export const RUNTIME_NAMES = ['builtin', 'runc', 'crun'] as const;
export type RuntimeName = (typeof RUNTIME_NAMES)[number];

/** How a program ended; as shells say it, 128 and the signal where one ended it. */
export type ExitCode = number;

/** Descriptors that are the owner's to close: the terminal's master, or the ends of pipes. */
export type StreamDescriptors =
  | { terminal: number }
  | { input: number | undefined; output: number; errors: number };

export interface RunningProgram {
  pid: number;
  /** A descriptor of the process, the owner's to close; opened before anybody could have waited for it. */
  process: number;
  streams: StreamDescriptors;
  exited: Promise<ExitCode>;
  /**
   * Where a line lets it go on, as long as it waits for that (stage.ts). It is kept with the rest, so that the
   * next server can write it where this one does not come to it.
   */
  channel?: number | undefined;
}

/** What is to be done when all of a program is there and before it runs; it does not run where this throws. */
export type Prepare = (program: RunningProgram) => void;

export interface Launch {
  spec: RuntimeSpec;
  /** Where the root file system is mounted; absolute. */
  rootfs: string;
  /** Where a process id is written to be in the container's cgroups. */
  cgroupFiles: string[];
  /** Without input the program reads nothing. */
  hasInput: boolean;
  /** Sets up the network namespace of a process, before the program starts. */
  connect: ((pid: number) => Promise<void>) | undefined;
}

/** A program beside the container's own. */
export interface Entry {
  process: SpecProcess;
  seccomp: RuntimeSpec['linux']['seccomp'];
  /** A process of the container, as the server sees its number. */
  member: number;
  cgroupFiles: string[];
  hasInput: boolean;
}

/** One container's. */
export interface Runtime {
  /** Settles when the program runs. Throws a ContainerFailure; nothing of it runs then. */
  start(launch: Launch, prepare: Prepare): Promise<void>;
  enter(entry: Entry, prepare: Prepare): Promise<void>;
  /**
   * For a server that finds a program prepared and does not know whether it was let go on; safe to repeat.
   * Where there is none, `RunningProgram.channel` is used.
   */
  goOn?(): Promise<void>;
  /** Takes away what it keeps of a container that has ended, or was lost. */
  forget(): Promise<void>;
}

/** Throws UsageError for a name that no runtime has. */
export function parseRuntimeName(text: string): RuntimeName {
  const known = RUNTIME_NAMES.find((name) => name === text);
  if (known !== undefined) return known;
  const near = nearestName(text, RUNTIME_NAMES);
  throw new UsageError(
    `there is no runtime ${text}`,
    near === undefined ? `it is ${RUNTIME_NAMES.join(', ')}` : `did you mean ${near}?`,
  );
}

/** `prepared` is a stage that waits already. */
export async function runtimeFor(
  name: RuntimeName,
  container: Container,
  prepared?: Stage,
): Promise<Runtime> {
  if (name === 'builtin') return new (await import('./builtin-runtime.js')).BuiltinRuntime(prepared);
  prepared?.discard();
  return new (await import('./oci-runtime.js')).OciRuntime(name, container);
}
