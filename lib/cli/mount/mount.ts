// SPDX-License-Identifier: MIT
/** `tsoverlay mount` */
import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { UsageError } from '../../base/errors.js';
import type { MountOptions } from '../../mount/mount.js';
import { applyOptionString, emptyOptions, type ParsedOptions } from '../../mount/option-string.js';
import { findRecord } from '../../mount/records.js';
import type { Arguments } from '../commands/table.js';
import { absolute, carryOut } from './mounting.js';

/**
 * Loaded only here: other mounts do not wait for what has to do with images. Answers
 * the lock that keeps the layers until the mount is in the list.
 */
async function addImage(
  options: ParsedOptions,
  { image, root }: Arguments<'mount'>,
): Promise<Disposable | undefined> {
  if (image === undefined) return undefined;
  const [{ Store }, { StoreLock }, { findImage }, { imageLayers }] = await Promise.all([
    import('../../image/store/store.js'),
    import('../../image/store/lock.js'),
    import('../../image/store/images.js'),
    import('./image-layers.js'),
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
async function gather(
  args: Arguments<'mount'>,
): Promise<{ options: MountOptions; lock: Disposable | undefined }> {
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

export async function mount(args: Arguments<'mount'>): Promise<void> {
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
