// SPDX-License-Identifier: MIT
/**
 * What a Dockerfile says, instruction by instruction. Words are strings as they are written, with
 * their variables; a plan (plan/plan.ts) has the same instructions with words of another type.
 */
import type { Place } from './failure.js';
import type { Heredoc } from './lines.js';
import type { MountFields } from './mount-fields.js';

/** A command as a JSON list, or a line for a shell. */
export type Command = { form: 'exec'; args: string[] } | { form: 'shell'; line: string };

export interface Written {
  place: Place;
  /** As it is shown: the keyword and what follows, on one line. */
  text: string;
}

export interface NamedValue<Word = string> {
  name: Word;
  /** Undefined for an ARG without a default. */
  value: Word | undefined;
}

export interface FromInstruction extends Written {
  kind: 'FROM';
  image: string;
  name: string | undefined;
  platform: string | undefined;
}

export interface RunInstruction extends Written {
  kind: 'RUN';
  command: Command;
  heredocs: Heredoc[];
  /** As they are written; a variable may stand anywhere in them. */
  mounts: MountFields[];
  network: 'default' | 'none' | 'host';
}

export interface CopyInstruction<Word = string> extends Written {
  kind: 'COPY' | 'ADD';
  sources: Word[];
  /** Copied after the sources, whatever the order in which they are written. */
  heredocs: Heredoc[];
  destination: Word;
  from: Word | undefined;
  chown: Word | undefined;
  chmod: Word | undefined;
  /** `sha256:…` of what ADD fetches. */
  checksum: Word | undefined;
  excludes: Word[];
  /** The layer does not depend on those below. */
  link: boolean;
  /** Directories of the sources are kept. */
  parents: boolean;
  /** Whether ADD takes archives apart; undefined for local ones only. */
  unpack: boolean | undefined;
}

export interface WorkdirInstruction<Word = string> extends Written {
  kind: 'WORKDIR';
  value: Word;
}

export interface ValueInstruction<Word = string> extends Written {
  kind: 'USER' | 'STOPSIGNAL' | 'MAINTAINER';
  value: Word;
}

export interface PairsInstruction<Word = string> extends Written {
  kind: 'ENV' | 'LABEL' | 'ARG';
  pairs: NamedValue<Word>[];
}

export interface ListInstruction<Word = string> extends Written {
  kind: 'EXPOSE' | 'VOLUME';
  items: Word[];
}

export interface CommandInstruction extends Written {
  kind: 'CMD' | 'ENTRYPOINT';
  command: Command;
}

export interface ShellInstruction extends Written {
  kind: 'SHELL';
  args: string[];
}

/** Times are nanoseconds, as images have them; 0 for the default. */
export interface HealthcheckInstruction extends Written {
  kind: 'HEALTHCHECK';
  /** Undefined for NONE. */
  command: Command | undefined;
  interval: number;
  timeout: number;
  startPeriod: number;
  startInterval: number;
  retries: number;
}

export interface OnbuildInstruction extends Written {
  kind: 'ONBUILD';
  /** An instruction that builds on the image begin with. */
  trigger: string;
}

/** Those that change how the image is started and nothing of its files. */
export type ConfigInstruction<Word = string> =
  | ValueInstruction<Word>
  | PairsInstruction<Word>
  | ListInstruction<Word>
  | CommandInstruction
  | ShellInstruction
  | HealthcheckInstruction
  | OnbuildInstruction;

export type Instruction = RunInstruction | CopyInstruction | WorkdirInstruction | ConfigInstruction;

export const KEYWORDS = [
  'FROM',
  'RUN',
  'COPY',
  'ADD',
  'WORKDIR',
  'USER',
  'STOPSIGNAL',
  'MAINTAINER',
  'ENV',
  'LABEL',
  'ARG',
  'EXPOSE',
  'VOLUME',
  'CMD',
  'ENTRYPOINT',
  'SHELL',
  'HEALTHCHECK',
  'ONBUILD',
] as const;
