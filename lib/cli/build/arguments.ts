// SPDX-License-Identifier: MIT
/** What the commands about builds are given, as their options in commands.ts say it. */

export interface BuildArguments {
  root: string | undefined;
  context: string;
  file: string | undefined;
  tag: string[];
  target: string | undefined;
  'build-arg': string[];
  label: string[];
  secret: string[];
  'cache-from': string[];
  'no-cache': boolean;
  pull: boolean;
  squash: boolean;
  platform: string | undefined;
  network: string;
  'add-host': string[];
  output: string | undefined;
  iidfile: string | undefined;
  progress: string;
  quiet: boolean;
  'debug-shell': boolean;
}

export interface BuildListArguments {
  root: string | undefined;
  format: string | undefined;
  quiet: boolean;
}

export interface BuildPruneArguments {
  root: string | undefined;
  force: boolean;
  all: boolean;
  filter: string[];
  'keep-storage': string | undefined;
}
