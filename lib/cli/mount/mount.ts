// SPDX-License-Identifier: MIT
/** `tsoverlay mount` */
import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Argv, CommandModule } from 'yargs';
import { UsageError } from '../../base/errors.js';
import type { DriverName } from '../../mount/config.js';
import type { MountOptions } from '../../mount/mount.js';
import { applyOptionString, emptyOptions, type ParsedOptions } from '../../mount/option-string.js';
import { findRecord } from '../../mount/records.js';
import { absolute, carryOut } from './mounting.js';

interface Arguments {
  target: string;
  options: string[];
  lower: string[];
  image: string | undefined;
  root: string | undefined;
  upper: string | undefined;
  work: string | undefined;
  'read-only': boolean | undefined;
  foreground: boolean;
  driver: DriverName;
  json: boolean;
  debug?: boolean;
}

function builder(yargs: Argv): Argv<Arguments> {
  return yargs
    .positional('target', { type: 'string', demandOption: true, describe: 'An existing directory' })
    .option('options', {
      alias: 'o',
      type: 'string',
      array: true,
      nargs: 1,
      default: [] as string[],
      describe: 'Options as mount(8) takes them: lowerdir=A:B (top first), upperdir=, workdir=, ro, nosuid…',
    })
    .option('lower', {
      type: 'string',
      array: true,
      nargs: 1,
      default: [] as string[],
      describe: 'A read-only layer; give it again for each one, top first',
    })
    .option('image', { type: 'string', nargs: 1, describe: 'An image of the store gives the layers' })
    .option('root', {
      type: 'string',
      nargs: 1,
      describe: 'The store; default TSOVERLAY_ROOT or /var/lib/tsoverlay',
    })
    .option('upper', { type: 'string', describe: 'The writable layer; without it the mount is read-only' })
    .option('work', { type: 'string', describe: "An empty directory on the upper's file system" })
    .option('read-only', { type: 'boolean', describe: 'Nothing can be changed' })
    .option('foreground', { alias: 'f', type: 'boolean', default: false, describe: 'Stay until unmounted' })
    .option('driver', {
      choices: ['kernel', 'fuse-native'] as const,
      default: 'kernel' as const,
      describe: 'kernel speaks to /dev/fuse itself; fuse-native goes through libfuse 2',
    })
    .option('json', { type: 'boolean', default: false, describe: 'Print what was mounted as JSON' })
    .example('$0 mount --lower top --lower base --upper changes --work work /mnt', 'Three layers at /mnt')
    .example('$0 mount --image nginx --upper changes --work work /mnt', 'An image of the store, writable')
    .example('$0 mount -o lowerdir=top:base /mnt', 'Read-only')
    .example('$0 mount -o lowerdir=base,upperdir=changes,workdir=work /mnt', 'As overlayfs takes it');
}

/**
 * Loaded only here: other mounts do not wait for what has to do with images. Answers
 * the lock that keeps the layers until the mount is in the list.
 */
async function addImage(options: ParsedOptions, { image, root }: Arguments): Promise<Disposable | undefined> {
  if (image === undefined) return undefined;
  const [{ Store }, { StoreLock }, { findImage }, { imageLayers }] = await Promise.all([
    import('../../image/store/store.js'),
    import('../../image/store/lock.js'),
    import('../../image/store/images.js'),
    import('../image/archives.js'),
  ]);
  const store = Store.open(root);
  const lock = await StoreLock.take(store.root, 'collection', true);
  const { lowers, userxattr } = imageLayers(store, findImage(store, image).image);
  options.lowers.push(...lowers);
  options.userxattr ??= userxattr;
  options.source ??= image;
  return lock;
}

/** One meaning from both spellings. */
async function gather(args: Arguments): Promise<{ options: MountOptions; lock: Disposable | undefined }> {
  const options = emptyOptions();
  for (const text of args.options) applyOptionString(options, text);
  options.lowers.push(...args.lower);
  const lock = await addImage(options, args);
  if (args.upper !== undefined) options.upper = args.upper;
  if (args.work !== undefined) options.work = args.work;
  if (args['read-only'] !== undefined) options.readOnly = args['read-only'];
  if (Array.isArray(options.upper) || Array.isArray(options.work)) {
    throw new UsageError('--upper and --work can be given once');
  }
  return { options: { ...absolute(options), driver: args.driver }, lock };
}

/** For --debug: what the upper's file system can do, and what follows from it. */
function sayHowWritten(target: string): void {
  const record = findRecord(realpathSync(target));
  if (record?.upperAbilities == null) return;
  const { upper, whiteoutForm, upperAbilities, noIndexBecause } = record;
  const names = Object.entries(upperAbilities);
  const list = (wanted: boolean): string =>
    names.flatMap(([name, can]) => (can === wanted ? [name] : [])).join(', ') || 'nothing';
  const links = noIndexBecause === null ? 'are kept (index)' : `break at copy-up: ${noIndexBecause}`;
  process.stderr.write(
    `tsoverlay: upper ${upper}: whiteouts are written as ${whiteoutForm}; it can: ${list(true)}; it cannot: ${list(false)}; hard links of lower layers ${links}\n`,
  );
}

async function handler(args: Arguments): Promise<void> {
  const target = resolve(args.target);
  const { options, lock } = await gather(args);
  const announce = (serverPid: number): void => {
    lock?.[Symbol.dispose]();
    if (args.debug === true) sayHowWritten(target);
    if (args.json) {
      process.stdout.write(
        `${JSON.stringify({ target, serverPid, lowers: options.lowers, upper: options.upper ?? null, driver: args.driver })}\n`,
      );
    } else if (process.stdout.isTTY)
      process.stdout.write(`mounted at ${target}, served by process ${serverPid}\n`);
  };
  await carryOut({ target, options, foreground: args.foreground, announce });
}

export const mountCommand: CommandModule<unknown, Arguments> = {
  command: 'mount <target>',
  describe: 'Merge layers and mount them; returns when the mount can be used',
  builder: builder as never,
  handler,
};
