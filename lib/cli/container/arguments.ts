// SPDX-License-Identifier: MIT
/** What the commands about containers are given, as their options in commands.ts say it. */

interface RootArgument {
  root: string | undefined;
}

/** The words behind the options: an image or a container, and a command. */
interface WordsArgument extends RootArgument {
  '--'?: string[];
}

export interface CreateArguments extends WordsArgument {
  name: string | undefined;
  env: string[];
  'env-file': string[];
  volume: string[];
  mount: string[];
  tmpfs: string[];
  workdir: string | undefined;
  user: string | undefined;
  entrypoint: string | undefined;
  hostname: string | undefined;
  publish: string[];
  'publish-all': boolean;
  network: string;
  'add-host': string[];
  dns: string[];
  'read-only': boolean;
  memory: string | undefined;
  cpus: string | undefined;
  'pids-limit': string | undefined;
  'shm-size': string | undefined;
  ulimit: string[];
  'cap-add': string[];
  'cap-drop': string[];
  privileged: boolean;
  'security-opt': string[];
  init: boolean;
  restart: string;
  'log-driver': string;
  'log-opt': string[];
  label: string[];
  'label-file': string[];
  pull: string;
  platform: string | undefined;
  'stop-signal': string | undefined;
  'stop-timeout': string;
  interactive: boolean;
  tty: boolean;
  rm: boolean;
  cidfile: string | undefined;
  'storage-driver': string | undefined;
  runtime: string;
  quiet: boolean;
}

export interface RunArguments extends CreateArguments {
  detach: boolean;
  'detach-keys': string;
  'sig-proxy': boolean;
}

export interface StartArguments extends RootArgument {
  names: string[];
  attach: boolean;
  interactive: boolean;
  'detach-keys': string;
}

export interface NamesArguments extends RootArgument {
  names: string[];
}

export interface StopArguments extends NamesArguments {
  time: string | undefined;
}

export interface KillArguments extends NamesArguments {
  signal: string;
}

export interface RemoveArguments extends NamesArguments {
  force: boolean;
}

export interface RenameArguments extends RootArgument {
  source: string;
  name: string;
}

export interface ExecArguments extends WordsArgument {
  detach: boolean;
  env: string[];
  'env-file': string[];
  interactive: boolean;
  tty: boolean;
  user: string | undefined;
  workdir: string | undefined;
  privileged: boolean;
  'detach-keys': string;
}

export interface AttachArguments extends RootArgument {
  name: string;
  'no-stdin': boolean;
  'detach-keys': string;
  'sig-proxy': boolean;
}

export interface LogsArguments extends RootArgument {
  name: string;
  follow: boolean;
  tail: string;
  timestamps: boolean;
  since: string | undefined;
  until: string | undefined;
}

export interface PsArguments extends RootArgument {
  all: boolean;
  filter: string[];
  format: string | undefined;
  quiet: boolean;
  'no-trunc': boolean;
  latest: boolean;
  last: string | undefined;
  size: boolean;
}

export interface PortArguments extends RootArgument {
  name: string;
  port: string | undefined;
}

export interface TopArguments extends RootArgument {
  name: string;
}

export interface StatsArguments extends RootArgument {
  names: string[];
  'no-stream': boolean;
  format: string | undefined;
}

export interface CopyArguments extends RootArgument {
  source: string;
  destination: string;
  archive: boolean;
  'follow-link': boolean;
  quiet: boolean;
}

export interface ContainerPruneArguments extends RootArgument {
  force: boolean;
  filter: string[];
}
