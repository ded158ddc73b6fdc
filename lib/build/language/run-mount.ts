// SPDX-License-Identifier: MIT
/** `RUN --mount=type=…` (Dockerfile reference, "RUN --mount"). */
import { nearestName } from '../../base/errors.js';
import { DockerfileError, type Place } from './failure.js';

export type MountSharing = 'shared' | 'private' | 'locked';

interface Target {
  /** As it is written; empty where a secret's own place will do. */
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
  /** Bytes, with mount(8)'s units; undefined for the kernel's default. */
  size: string | undefined;
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

const ALIASES: Record<string, string> = {
  destination: 'target',
  dst: 'target',
  src: 'source',
  readonly: 'ro',
  readwrite: 'rw',
};
const KEYS: Record<RunMount['type'], readonly string[]> = {
  bind: ['from', 'source', 'target', 'rw', 'ro'],
  cache: ['id', 'from', 'source', 'target', 'sharing', 'ro', 'rw', 'mode', 'uid', 'gid'],
  tmpfs: ['target', 'size'],
  secret: ['id', 'source', 'target', 'required', 'env', 'mode', 'uid', 'gid'],
};

class Keys {
  readonly #values = new Map<string, string>();

  constructor(
    private readonly place: Place,
    text: string,
  ) {
    for (const part of text.split(',')) {
      const [, name, value] = /^([^=]*)=?(.*)$/s.exec(part.trim())!;
      const key = ALIASES[name.toLowerCase()] ?? name.toLowerCase();
      if (this.#values.has(key)) this.refuse(`${key} is given twice`);
      this.#values.set(key, part.includes('=') ? value : 'true');
    }
  }

  get names(): string[] {
    return [...this.#values.keys()];
  }

  refuse(reason: string, remedy?: string): never {
    throw new DockerfileError(this.place, `--mount: ${reason}`, remedy);
  }

  text(name: string): string | undefined {
    return this.#values.get(name);
  }

  truth(name: string): boolean {
    const value = this.text(name) ?? 'false';
    if (value !== 'true' && value !== 'false')
      this.refuse(`${name}=${value} is not possible`, 'it is true or false');
    return value === 'true';
  }

  number(name: string, base: 8 | 10, usual: number): number {
    const value = this.text(name);
    if (value === undefined) return usual;
    if (!(base === 8 ? /^[0-7]{1,5}$/ : /^\d{1,10}$/).test(value))
      this.refuse(`${name}=${value} is no ${base === 8 ? 'octal ' : ''}number`);
    return Number.parseInt(value, base);
  }
}

/** Throws a DockerfileError for what is not known or does not go together. */
export function parseRunMount(place: Place, text: string): RunMount {
  const keys = new Keys(place, text);
  const type = keys.text('type') ?? 'bind';
  const types = Object.keys(KEYS);
  if (!Object.hasOwn(KEYS, type)) keys.refuse(`there is no type ${type}`, `it is ${types.join(', ')}`);
  const known = KEYS[type as RunMount['type']];
  const stranger = keys.names.find((name) => name !== 'type' && !known.includes(name));
  if (stranger !== undefined) {
    const near = nearestName(stranger, known);
    keys.refuse(
      `type=${type} has no ${stranger}`,
      near === undefined ? `it has ${known.join(', ')}` : `did you mean ${near}?`,
    );
  }
  return composeMount(type as RunMount['type'], keys);
}

function composeMount(type: RunMount['type'], keys: Keys): RunMount {
  const target = keys.text('target') ?? '';
  if (target === '' && type !== 'secret') keys.refuse('it has no target', 'say where, as in target=/cache');
  const ids = (mode: number) => ({
    mode: keys.number('mode', 8, mode),
    uid: keys.number('uid', 10, 0),
    gid: keys.number('gid', 10, 0),
  });
  const source = keys.text('source');
  switch (type) {
    case 'bind':
      return { type, target, from: keys.text('from'), source: source ?? '/', writable: keys.truth('rw') };
    case 'cache': {
      const sharing = keys.text('sharing') ?? 'shared';
      if (sharing !== 'shared' && sharing !== 'private' && sharing !== 'locked')
        keys.refuse(`sharing=${sharing} is not possible`, 'it is shared, private or locked');
      const readOnly = keys.truth('ro');
      return {
        type,
        target,
        id: keys.text('id') ?? target,
        from: keys.text('from'),
        source: source ?? '/',
        sharing: sharing as MountSharing,
        readOnly,
        ...ids(0o755),
      };
    }
    case 'tmpfs': {
      const size = keys.text('size');
      if (size !== undefined && !/^\d+[kmg]?$/i.test(size))
        keys.refuse(`size=${size} is no size`, 'write it as in 64m');
      return { type, target, size };
    }
    case 'secret': {
      const id = keys.text('id') ?? source ?? target.split('/').at(-1) ?? '';
      if (id === '') keys.refuse('the secret has no id', 'say which, as in id=token');
      return { type, target, id, required: keys.truth('required'), env: keys.text('env'), ...ids(0o400) };
    }
  }
}
