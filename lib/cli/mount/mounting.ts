// SPDX-License-Identifier: MIT
/** Mounting, however it was asked for: in the background, or staying until it is unmounted. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { mountInBackground } from '../../mount/background.js';
import type { MountOptions } from '../../mount/mount.js';
import type { ParsedOptions } from '../../mount/option-string.js';
import { serveUnheard } from '../words/outputs.js';

export interface MountWish {
  target: string;
  options: MountOptions;
  /** Stay until unmounted. */
  foreground: boolean;
  /** Called when the mount can be used. */
  announce(serverPid: number): void;
}

/** Paths are made absolute, because the server runs in /. */
export function absolute(options: ParsedOptions): ParsedOptions {
  const { upper, work } = options;
  return {
    ...options,
    lowers: options.lowers.map((path) => resolve(path)),
    dataLowers: options.dataLowers.map((path) => resolve(path)),
    upper: upper === undefined ? undefined : resolve(upper),
    work: work === undefined ? undefined : resolve(work),
  };
}

const CAP_SYS_RESOURCE = 24n;

/** A limit that the server may not raise cuts the files of everybody who writes there. */
function warnOfSizeLimit(): void {
  const limits = readFileSync('/proc/self/limits', 'latin1');
  const hard = /^Max file size\s+\S+\s+(\d+)/m.exec(limits)?.[1];
  if (hard === undefined) return;
  const capabilities = /^CapEff:\s+(\w+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0';
  if ((BigInt(`0x${capabilities}`) >> CAP_SYS_RESOURCE) & 1n) return;
  process.stderr.write(
    `tsoverlay: no file can become larger than ${hard} bytes through this mount, as that limit may not be raised; mount it without \`ulimit -f\`\n`,
  );
}

/** Mounts; settles when the mount can be used or, in the foreground, when it has ended. */
export async function carryOut({ target, options, foreground, announce }: MountWish): Promise<void> {
  warnOfSizeLimit();
  if (!foreground) {
    announce(await mountInBackground({ target, options }));
    return;
  }
  serveUnheard();
  // Loaded only here: the command that starts a server in the background need not wait for the engine.
  const { serveMount } = await import('../../mount/server.js');
  const reason = await serveMount(
    target,
    { ...options, onFault: (text) => process.stderr.write(`tsoverlay: ${text}\n`) },
    () => announce(process.pid),
  );
  if (reason !== undefined) throw new Error(reason);
  process.exit(0);
}
