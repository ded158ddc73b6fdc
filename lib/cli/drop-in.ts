// SPDX-License-Identifier: MIT
/**
 * The forms in which other programs call a FUSE file system, in the place of
 * fuse-overlayfs:
 *
 *   tsoverlay -o OPTIONS TARGET               Podman's and Buildah's mount_program
 *   tsoverlay SOURCE TARGET -o OPTIONS…       mount(8) and fstab, through mount.fuse3
 *   tsoverlay SOURCE /dev/fd/N -o OPTIONS…    the same with drop_privileges: mount.fuse3 has mounted already
 *
 * As with every such program an option that nobody knows is a warning here, not an
 * error: the caller wrote it for whatever stood in this place before.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { applyOptionString, emptyOptions } from '../mount/option-string.js';
import { absolute, carryOut } from './mount/mounting.js';

export interface DropInCall {
  source: string | undefined;
  target: string;
  /** The mounted descriptor of /dev/fuse that stands in the target's place. */
  device: number | undefined;
  options: string[];
  foreground: boolean;
}

/** Besides -o: staying in the foreground, and what mount(8) hands to its helpers, which changes nothing here. */
const FLAGS = {
  options: { type: 'string', short: 'o', multiple: true },
  foreground: { type: 'boolean', short: 'f' },
  type: { type: 'string', short: 't' },
  debug: { type: 'boolean', short: 'd' },
  sloppy: { type: 'boolean', short: 's' },
  'no-mtab': { type: 'boolean', short: 'n' },
  verbose: { type: 'boolean', short: 'v' },
} as const;

/** Reads a call of one of the forms; undefined for any other command line. */
export function parseDropIn(argv: readonly string[]): DropInCall | undefined {
  const parsed = parseFlags(argv);
  if (parsed === undefined) return undefined;
  const { options = [], foreground = false } = parsed.values;
  const words = parsed.positionals;
  if (options.length === 0 || words.length < 1 || words.length > 2) return undefined;
  const target = words[words.length - 1];
  const device = /^\/dev\/fd\/(\d+)$/.exec(target)?.[1];
  return {
    source: words.length === 2 ? words[0] : undefined,
    target,
    device: device === undefined ? undefined : Number(device),
    options,
    foreground,
  };
}

function parseFlags(argv: readonly string[]): ReturnType<typeof parse> | undefined {
  try {
    return parse(argv);
  } catch (failure) {
    // A flag that is none of these belongs to another form; that one says what is wrong with it.
    if ((failure as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS_')) return undefined;
    throw failure;
  }
}

function parse(argv: readonly string[]) {
  return parseArgs({ args: [...argv], options: FLAGS, allowPositionals: true });
}

/** Loaded only here: no other form needs native code in this process. */
async function targetOf(device: number): Promise<string> {
  return (await import('../fuse/mount.js')).targetOfDevice(device);
}

export async function runDropIn(call: DropInCall): Promise<void> {
  const { source, target, device, options: texts, foreground } = call;
  const options = emptyOptions();
  const warn = (message: string): void => void process.stderr.write(`tsoverlay: ${message}\n`);
  for (const text of texts) applyOptionString(options, text, warn);
  options.source ??= source;
  await carryOut({
    target: device === undefined ? resolve(target) : await targetOf(device),
    options: { ...absolute(options), device },
    foreground,
    announce: () => undefined,
  });
}
