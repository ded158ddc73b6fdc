// SPDX-License-Identifier: MIT
/** `RUN --mount=type=…` (Dockerfile reference, "RUN --mount"). */
import { posix } from 'node:path';
import { nearestName } from '../../base/errors.js';
import type { Place } from './failure.js';
import { MountFields } from './mount-fields.js';

export type MountSharing = 'shared' | 'private' | 'locked';

interface Target {
  /** As it is written; empty for the working directory and, of a secret, for its own place. */
  target: string;
}

export interface BindMount extends Target {
  type: 'bind';
  /** A stage or an image; undefined for the context. */
  from: string | undefined;
  source: string;
  /** What is written is thrown away. */
  writable: boolean;
}

export interface CacheMount extends Target {
  type: 'cache';
  id: string;
  from: string | undefined;
  source: string;
  sharing: MountSharing;
  readOnly: boolean;
  mode: number;
  uid: number;
  gid: number;
}

export interface TmpfsMount extends Target {
  type: 'tmpfs';
  /** Bytes; undefined for the kernel's default. */
  size: number | undefined;
}

export interface SecretMount extends Target {
  type: 'secret';
  id: string;
  required: boolean;
  /** A variable that has the secret, with or without a file. */
  env: string | undefined;
  mode: number;
  uid: number;
  gid: number;
}

export type RunMount = BindMount | CacheMount | TmpfsMount | SecretMount;

const KEYS: Record<RunMount['type'], readonly string[]> = {
  bind: ['from', 'source', 'target', 'rw', 'ro'],
  cache: ['id', 'from', 'source', 'target', 'sharing', 'ro', 'rw', 'mode', 'uid', 'gid'],
  tmpfs: ['target', 'size'],
  secret: ['id', 'source', 'target', 'required', 'env', 'ro', 'mode', 'uid', 'gid'],
};
const SHARINGS: readonly string[] = ['shared', 'private', 'locked'] satisfies MountSharing[];

/** The fields are as they are written, or expanded. Throws a DockerfileError for what is not known or does not go together. */
export function parseRunMount(fields: MountFields): RunMount {
  const type = (fields.text('type') ?? 'bind').toLowerCase();
  if (type === 'ssh')
    fields.refuse('type=ssh: a build has no SSH agent', 'give the key with --mount=type=secret');
  if (!Object.hasOwn(KEYS, type))
    fields.refuse(`there is no type ${type}`, `it is ${Object.keys(KEYS).join(', ')}`);
  const known = KEYS[type as RunMount['type']];
  const stranger = fields.names.find((name) => name !== 'type' && !known.includes(name));
  if (stranger !== undefined) {
    const near = nearestName(stranger, known);
    fields.refuse(
      `type=${type} has no ${stranger}`,
      near === undefined ? `it has ${known.join(', ')}` : `did you mean ${near}?`,
    );
  }
  const target = fields.text('target') ?? '';
  if (/^\/[/.]*$/.test(target)) fields.refuse(`target=${target} is the root`, 'name a directory below it');
  return composeMount(type as RunMount['type'], target, fields);
}

/** The mounts of one RUN as they stand there; what a variable does not keep from being checked is checked. */
export function readRunMounts(place: Place, texts: readonly string[]): MountFields[] {
  return texts.map((text) => {
    const fields = MountFields.parse(place, text);
    if (!fields.hasVariables) parseRunMount(fields);
    return fields;
  });
}

/** As Go's path.Clean: the name of a cache that has no other. */
function cleanPath(path: string): string {
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

function composeMount(type: RunMount['type'], target: string, fields: MountFields): RunMount {
  const ids = (mode: number) => ({
    mode: fields.number('mode', 8, mode),
    uid: fields.number('uid', 10, 0),
    gid: fields.number('gid', 10, 0),
  });
  const from = fields.text('from');
  const source = fields.text('source') ?? '/';
  switch (type) {
    case 'bind':
      return { type, target, from, source, writable: fields.isWritable(false) };
    case 'cache': {
      const sharing = (fields.text('sharing') ?? 'shared').toLowerCase();
      if (!SHARINGS.includes(sharing))
        fields.refuse(`invalid sharing=${sharing}`, 'it is shared, private or locked');
      return {
        type,
        target,
        id: fields.text('id') ?? cleanPath(target),
        from,
        source,
        sharing: sharing as MountSharing,
        readOnly: !fields.isWritable(true),
        ...ids(0o755),
      };
    }
    case 'tmpfs':
      return { type, target, size: fields.bytes('size') };
    case 'secret': {
      if (fields.text('source') !== undefined && fields.text('id') !== undefined)
        fields.refuse('source and id are the same', 'give one of them');
      if (fields.isWritable(false)) fields.refuse('a secret is read-only', 'leave ro=false out');
      const id = fields.text('id') ?? fields.text('source') ?? posix.basename(target);
      if (id === '') fields.refuse('the secret has no id', 'say which, as in id=token');
      const env = fields.text('env') === '' ? id : fields.text('env');
      return { type, target, id, required: fields.truth('required'), env, ...ids(0o400) };
    }
  }
}
