import type { RuntimeSpec, SpecProcess } from '../spec/runtime-spec.js';

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
  readonly channel?: number | undefined;
}

/** What is made of a program when all of it is there and before it runs; it does not run where this throws. */
export type Prepare<T> = (program: RunningProgram) => T;

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
  /** Settles with what was prepared when the program runs. Throws a ContainerFailure; nothing of it runs then. */
  start<T>(launch: Launch, prepare: Prepare<T>): Promise<T>;
  enter<T>(entry: Entry, prepare: Prepare<T>): Promise<T>;
  /**
   * For a server that finds a program prepared and does not know whether it was let go on; safe to repeat.
   * Where there is none, `RunningProgram.channel` is used.
   */
  goOn?(): Promise<void>;
  /** Takes away what it keeps of a container that has ended, or was lost. */
  forget(): Promise<void>;
}
