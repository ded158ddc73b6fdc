// SPDX-License-Identifier: MIT
/** What a Dockerfile says, instruction by instruction; words are as they are written, not yet expanded. */
import type { Place } from './failure.js';
import type { Heredoc } from './lines.js';
import type { MountFields } from './mount-fields.js';

/** A command as a JSON list, or a line for a shell. */
export type Command = { form: 'exec'; args: string[] } | { form: 'shell'; line: string };

interface Written {
  place: Place;
  /** As it is shown: the keyword and what follows, on one line. */
  text: string;
}

export interface NamedValue {
  name: string;
  /** Undefined for an ARG without a default. */
  value: string | undefined;
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

export interface CopyInstruction extends Written {
  kind: 'COPY' | 'ADD';
  sources: string[];
  /** Copied after the sources, whatever the order in which they are written. */
  heredocs: Heredoc[];
  destination: string;
  from: string | undefined;
  chown: string | undefined;
  chmod: string | undefined;
  /** `sha256:…` of what ADD fetches. */
  checksum: string | undefined;
  excludes: string[];
  /** The layer does not depend on those below. */
  link: boolean;
  /** Directories of the sources are kept. */
  parents: boolean;
  /** Whether ADD takes archives apart; undefined for local ones only. */
  unpack: boolean | undefined;
}

export interface ValueInstruction extends Written {
  kind: 'WORKDIR' | 'USER' | 'STOPSIGNAL' | 'MAINTAINER';
  value: string;
}

export interface PairsInstruction extends Written {
  kind: 'ENV' | 'LABEL' | 'ARG';
  pairs: NamedValue[];
}

export interface ListInstruction extends Written {
  kind: 'EXPOSE' | 'VOLUME';
  items: string[];
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
  /** An instruction, for whoever builds on the image. */
  trigger: string;
}

export type Instruction =
  | RunInstruction
  | CopyInstruction
  | ValueInstruction
  | PairsInstruction
  | ListInstruction
  | CommandInstruction
  | ShellInstruction
  | HealthcheckInstruction
  | OnbuildInstruction;

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
