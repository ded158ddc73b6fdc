// SPDX-License-Identifier: MIT
/** Mounting, however it was asked for: in the background, or staying until it is unmounted. */
import { resolve } from 'node:path';
import { mountInBackground } from '../../mount/background.js';
import type { MountOptions } from '../../mount/mount.js';
import type { ParsedOptions } from '../../mount/option-string.js';
import { hasCapability } from '../../sys/proc.js';
import { limitOf } from '../../sys/programs.js';
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

const CAP_SYS_RESOURCE = 24;

/** A limit that the server may not raise cuts the files of everybody who writes there. */
function warnOfSizeLimit(): void {
  const { hard } = limitOf('FSIZE');
  if (hard < 0 || hasCapability('self', CAP_SYS_RESOURCE)) return;
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
