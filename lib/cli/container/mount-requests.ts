// SPDX-License-Identifier: MIT
/** -v, --mount and --tmpfs, as Docker writes them. All throw UsageError. */

import { isAbsolute, resolve } from 'node:path';
import { cryptography } from '../../base/builtins.js';
import { nearestName, UsageError } from '../../base/errors.js';
import { csvFields, TRUTHS } from '../../build/language/mount-fields.js';
import type { MountRequest } from '../../container/state/config.js';
import { parseSize } from '../words/sizes.js';

const VOLUME_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

function checkTarget(target: string, text: string): string {
  if (isAbsolute(target) && resolve(target) !== '/') return resolve(target);
  throw new UsageError(
    `${text}: the path in the container must begin with / and be more`,
    'as in -v data:/data',
  );
}

function bindOrVolume(source: string, text: string): Pick<MountRequest, 'type' | 'source'> {
  if (/^[./~]/.test(source)) return { type: 'bind', source: resolve(source) };
  if (VOLUME_NAME.test(source)) return { type: 'volume', source };
  throw new UsageError(
    `${text}: ${source} is neither a path nor the name of a volume`,
    'a path begins with / or .',
  );
}

/** `[SOURCE:]TARGET[:OPTIONS]` */
export function parseVolume(text: string): MountRequest {
  const parts = text.split(':');
  if (parts.length > 3) throw new UsageError(`-v ${text} has too many parts`, 'write SOURCE:TARGET[:ro]');
  const named = parts.length === 1 ? cryptography().randomBytes(32).toString('hex') : parts[0];
  const target = checkTarget(parts.length === 1 ? parts[0] : parts[1], `-v ${text}`);
  const options = (parts[2] ?? '').split(',').filter((option) => option !== '' && option !== 'rw');
  // Labels for SELinux, which has its own ways, and what only Docker's desktop knows.
  const kept = options.filter(
    (option) => !['ro', 'z', 'Z', 'cached', 'delegated', 'consistent'].includes(option),
  );
  if (options.includes('ro') && (parts[2] ?? '').split(',').includes('rw'))
    throw new UsageError(`-v ${text}: ro and rw contradict each other`, 'leave one of them out');
  const unknown = kept.find((option) => !/^(r?(private|shared|slave)|nosuid|nodev|noexec)$/.test(option));
  if (unknown !== undefined) throw new UsageError(`-v ${text}: there is no option ${unknown}`, 'as in :ro');
  return { ...bindOrVolume(named, `-v ${text}`), target, readOnly: options.includes('ro'), options: kept };
}

const MOUNT_KEYS = [
  'type',
  'source',
  'target',
  'readonly',
  'consistency',
  'tmpfs-size',
  'tmpfs-mode',
  'bind-propagation',
];
const KEY_ALIASES: Record<string, string> = {
  src: 'source',
  dst: 'target',
  destination: 'target',
  ro: 'readonly',
};

function mountFields(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  const parts = csvFields(text);
  if (parts === undefined)
    throw new UsageError(`--mount ${text} has a quote in a field`, 'quote fields whole');
  for (const part of parts) {
    const equals = part.indexOf('=');
    const given = equals < 0 ? part : part.slice(0, equals);
    const key = KEY_ALIASES[given.toLowerCase()] ?? given.toLowerCase();
    if (!MOUNT_KEYS.includes(key)) {
      const near = nearestName(given, [...MOUNT_KEYS, ...Object.keys(KEY_ALIASES)]);
      throw new UsageError(
        `--mount ${text}: there is no ${given}`,
        near === undefined ? `there are ${MOUNT_KEYS.join(', ')}` : `did you mean ${near}?`,
      );
    }
    if (equals < 0 && key !== 'readonly')
      throw new UsageError(`--mount ${text}: ${given} has no value`, `write ${given}=VALUE`);
    fields.set(key, equals < 0 ? 'true' : part.slice(equals + 1));
  }
  return fields;
}

function mountSource(type: MountRequest['type'], given: string | undefined, text: string): string {
  if (type === 'tmpfs') {
    if (given === undefined || given === '') return '';
    throw new UsageError(`--mount ${text}: a tmpfs has no source`, 'leave it out');
  }
  if (type === 'volume') {
    const name = given ?? cryptography().randomBytes(32).toString('hex');
    if (VOLUME_NAME.test(name)) return name;
    throw new UsageError(`--mount ${text}: ${name} is no name for a volume`, 'a path wants type=bind');
  }
  if (given === undefined || given === '') throw new UsageError(`--mount ${text}: source is missing`);
  if (/^[./]/.test(given)) return resolve(given);
  throw new UsageError(`--mount ${text}: ${given} is not an absolute path`, 'begin it with / or ./');
}

function isReadOnly(given: string | undefined, text: string): boolean {
  const truth = given === undefined ? false : TRUTHS[given.toLowerCase()];
  if (truth !== undefined) return truth;
  throw new UsageError(`--mount ${text}: readonly is ${given}`, 'it is true or false');
}

const PROPAGATION = /^r?(private|shared|slave)$/;

/** As options of mount(2). An option of another type is refused. */
function typeOptions(type: string, fields: ReadonlyMap<string, string>, text: string): string[] {
  const stray = [...fields.keys()].find((key) => /^(tmpfs|bind)-/.test(key) && !key.startsWith(`${type}-`));
  if (stray !== undefined)
    throw new UsageError(`--mount ${text}: ${stray} does not go with type=${type}`, 'leave one of them out');
  const options: string[] = [];
  const size = fields.get('tmpfs-size');
  const mode = fields.get('tmpfs-mode');
  const propagation = fields.get('bind-propagation')?.toLowerCase();
  // Of tmpfs, 0 is without limit, as it is for the daemon.
  if (size !== undefined) options.push(`size=${parseSize('tmpfs-size', size)}`);
  if (mode !== undefined) {
    if (!/^0*[0-7]{1,4}$/.test(mode))
      throw new UsageError(`--mount ${text}: tmpfs-mode=${mode} is not octal`, 'write it as in 1777');
    options.push(`mode=${mode}`);
  }
  if (propagation !== undefined) {
    if (!PROPAGATION.test(propagation))
      throw new UsageError(`--mount ${text}: there is no propagation ${propagation}`, 'as in rprivate');
    options.push(propagation);
  }
  return options;
}

/** `type=bind,source=…,target=…[,readonly]` */
export function parseMount(text: string): MountRequest {
  const fields = mountFields(text);
  const type = fields.get('type')?.toLowerCase() ?? 'volume';
  if (type !== 'bind' && type !== 'volume' && type !== 'tmpfs')
    throw new UsageError(`--mount ${text}: there is no type ${type}`, 'it is bind, volume or tmpfs');
  return {
    type,
    source: mountSource(type, fields.get('source'), text),
    target: checkTarget(fields.get('target') ?? '', `--mount ${text}`),
    readOnly: isReadOnly(fields.get('readonly'), text),
    options: typeOptions(type, fields, text),
  };
}

/** What moby's MergeTmpfsOptions knows. */
const TMPFS_OPTION =
  /^(defaults|r[ow]|(no)?(suid|dev|exec|atime|diratime|relatime|strictatime)|a?sync|(size|mode|uid|gid|nr_inodes|nr_blocks|mpol)=.+)$/;

/** `TARGET[:OPTIONS]` */
export function parseTmpfs(text: string): MountRequest {
  // An option may have colons, too: mpol=bind:0.
  const [target, ...rest] = text.split(':');
  const options = rest.join(':');
  const unknown = options.split(',').find((option) => option !== '' && !TMPFS_OPTION.test(option));
  if (unknown !== undefined)
    throw new UsageError(`--tmpfs ${text}: there is no option ${unknown}`, 'as in /run:size=64m,mode=1777');
  const list = options.split(',').filter((option) => option !== '' && option !== 'rw');
  return {
    type: 'tmpfs',
    source: '',
    target: checkTarget(target, `--tmpfs ${text}`),
    readOnly: list.includes('ro'),
    options: list.filter((option) => option !== 'ro'),
  };
}
