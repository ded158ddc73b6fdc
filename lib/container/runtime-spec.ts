// SPDX-License-Identifier: MIT
/** The configuration of a container as OCI runtimes take it (runtime-spec, config.md, version 1.0.2). */
import { OverlayError } from '../base/errors.js';
import type { RunConfig } from '../image/manifest.js';
import type { Account } from './accounts.js';
import {
  CAPABILITIES,
  DEFAULT_PATH,
  DEVICE_RULES,
  MASKED_PATHS,
  MOUNTS,
  READ_ONLY_PATHS,
} from './defaults.js';

export interface SpecOptions {
  /** What the image says of how it is started. */
  image: RunConfig;
  account: Account;
  hostname: string;
  /** In the place of the image's command; its entry point stays. */
  command?: readonly string[] | undefined;
  /** In the place of the image's entry point; then the image's command does not count either. */
  entrypoint?: readonly string[] | undefined;
  /** `KEY=VALUE`; later ones win. */
  env?: readonly string[] | undefined;
  cwd?: string | undefined;
  terminal?: boolean | undefined;
  readOnly?: boolean | undefined;
  /** The container has the host's network. */
  hostNetwork?: boolean | undefined;
}

/** What is run, as Docker puts it together. Throws an OverlayError where there is nothing to run. */
export function commandLine({ image, command, entrypoint }: SpecOptions): string[] {
  const first = entrypoint ?? image.Entrypoint ?? [];
  const rest = command ?? (entrypoint === undefined ? (image.Cmd ?? []) : []);
  const args = [...first, ...rest];
  if (args.length > 0) return args;
  throw new OverlayError({
    operation: 'start',
    reason: 'the image names no command',
    remedy: 'give one after the name of the image',
  });
}

function environment({ image, account, hostname, env = [], terminal }: SpecOptions): string[] {
  const values = new Map<string, string>([
    ['PATH', DEFAULT_PATH],
    ['HOSTNAME', hostname],
    ...(terminal === true ? ([['TERM', 'xterm']] as const) : []),
    ['HOME', account.home],
  ]);
  for (const item of [...(image.Env ?? []), ...env]) {
    const equals = item.indexOf('=');
    if (equals > 0) values.set(item.slice(0, equals), item.slice(equals + 1));
  }
  return [...values].map(([key, value]) => `${key}=${value}`);
}

/** config.json as an object; `rootfs` is a path beside it. */
export function runtimeSpec(options: SpecOptions, rootfs: string): object {
  const { account, image, hostname, cwd, terminal = false, readOnly = false, hostNetwork = false } = options;
  const { uid, gid, additionalGids } = account;
  // Only root starts with capabilities; a user's programs get them by file capabilities within the bounding set.
  const held = uid === 0 ? CAPABILITIES : [];
  return {
    ociVersion: '1.0.2',
    process: {
      terminal,
      user: { uid, gid, additionalGids: [gid, ...additionalGids] },
      args: commandLine(options),
      env: environment(options),
      cwd: cwd ?? (image.WorkingDir || '/'),
      capabilities: { bounding: CAPABILITIES, effective: held, permitted: held },
      noNewPrivileges: false,
    },
    root: { path: rootfs, readonly: readOnly },
    hostname,
    mounts: MOUNTS,
    linux: {
      resources: { devices: DEVICE_RULES },
      namespaces: ['pid', 'ipc', 'uts', 'mount', ...(hostNetwork ? [] : ['network'])].map((type) => ({
        type,
      })),
      maskedPaths: MASKED_PATHS,
      readonlyPaths: READ_ONLY_PATHS,
    },
  };
}
