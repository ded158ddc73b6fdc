// SPDX-License-Identifier: MIT
/** What the commands about images are given, as their options in commands.ts say it. */
import type { LimitArguments } from './limits.js';

interface RootArgument {
  root: string | undefined;
}

export interface PullArguments extends RootArgument, LimitArguments {
  name: string;
  platform: string | undefined;
  quiet: boolean;
  'all-tags': boolean;
}

export interface PushArguments extends RootArgument {
  name: string;
  quiet: boolean;
}

export interface SearchArguments {
  registry: string;
  term: string | undefined;
  tags: boolean;
  json: boolean;
}

export interface ListArguments extends RootArgument {
  repository: string | undefined;
  filter: string[];
  format: string | undefined;
  quiet: boolean;
  digests: boolean;
  'no-trunc': boolean;
}

export interface InspectArguments extends RootArgument {
  names: string[];
  type: string | undefined;
  format: string | undefined;
}

export interface HistoryArguments extends RootArgument {
  name: string;
  format: string | undefined;
  quiet: boolean;
  human: boolean;
  'no-trunc': boolean;
}

export interface TagArguments extends RootArgument {
  source: string;
  name: string;
}

export interface RemoveArguments extends RootArgument {
  names: string[];
  force: boolean;
}

export interface PruneArguments extends RootArgument {
  all: boolean;
  force: boolean;
  filter: string[];
}

export interface SaveArguments extends RootArgument {
  names: string[];
  output: string | undefined;
}

export interface LoadArguments extends RootArgument, LimitArguments {
  input: string | undefined;
  platform: string | undefined;
  quiet: boolean;
}

export interface ImportArguments extends RootArgument, LimitArguments {
  source: string;
  reference: string | undefined;
  platform: string | undefined;
  message: string | undefined;
  change: string[];
}

export interface ExportArguments extends RootArgument {
  source: string;
  output: string | undefined;
}

export interface CommitArguments extends RootArgument {
  source: string;
  reference: string | undefined;
  image: string | undefined;
  author: string | undefined;
  /** Hold a running container where it is meanwhile. */
  pause: boolean;
  message: string | undefined;
  change: string[];
}

export interface LayersArguments extends RootArgument {
  name: string;
  files: boolean;
  json: boolean;
  'no-trunc': boolean;
  ci: boolean;
  'min-efficiency': number;
  'max-wasted': string | undefined;
}

export interface UsageArguments extends RootArgument {
  format: string | undefined;
}

export interface CheckArguments extends RootArgument {
  repair: boolean;
  json: boolean;
}

export interface BundleArguments extends RootArgument {
  name: string;
  directory: string;
  /** The command, if it is not the image's; what follows `--` is not looked at for options. */
  args: string[];
  '--'?: string[];
  user: string | undefined;
  env: string[];
  workdir: string | undefined;
  entrypoint: string | undefined;
  hostname: string | undefined;
  network: string;
  tty: boolean;
  'read-only': boolean;
}
