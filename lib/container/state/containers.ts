// SPDX-License-Identifier: MIT
/**
 * The containers of a store: a directory each.
 *
 *   containers/ID/container.json   what it is (config.ts); replaced whole when it is renamed
 *   containers/ID/state.json       how it fares; replaced whole by who has the lock
 *   containers/ID/lock             flock'd by its server as long as that lives
 *   containers/ID/upper, work      its writable layer
 *   containers/ID/rootfs           where it is mounted
 *   containers/ID/log, log.1, …    what it wrote (log-file.ts, log-rotation.ts)
 *   containers/ID/hosts, hostname, resolv.conf
 *
 * A container is there from the moment in which its directory gets its name. Whether
 * one runs is told by its lock, which the kernel releases when the server dies, and
 * not by what state.json says.
 *
 * Lock order: `containers` (names) before a container's own before `network`.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fromText } from '../../base/bytes.js';
import { EAGAIN } from '../../base/errno.js';
import { check, nearestName, OverlayError, UsageError } from '../../base/errors.js';
import { StoreLock } from '../../image/store/lock.js';
import { storeFailure, writeFileWhole } from '../../image/store/staging.js';
import type { Store } from '../../image/store/store.js';
import { Fd, LOCK_EXCLUSIVE, LOCK_NONBLOCKING, lock, O_CREAT, O_RDWR, openPath } from '../../sys/files.js';
import { type ContainerConfig, type ContainerState, NEW_STATE } from './config.js';
import { NAME_RULE, RESTRICTED_NAME } from './names.js';
import { replaceBlock } from './small-file.js';

const LONGEST_NAME = 128;
const LOCK_LOOK_MS = 10;

/** One container, by its directory. */
export class Container {
  constructor(
    readonly store: Store,
    readonly id: string,
  ) {}

  get directory(): string {
    return join(this.store.root, 'containers', this.id);
  }

  path(part: 'upper' | 'work' | 'rootfs' | 'log' | 'hosts' | 'hostname' | 'resolv.conf' | 'lock'): string {
    return join(this.directory, part);
  }

  get exists(): boolean {
    return existsSync(this.directory);
  }

  readConfig(): ContainerConfig {
    return this.#read('container.json') as ContainerConfig;
  }

  /** Undefined where it is damaged, or the container is gone. */
  tryReadConfig(): ContainerConfig | undefined {
    return attempt(() => this.readConfig());
  }

  writeConfig(config: ContainerConfig): void {
    writeFileWhole(this.store, join(this.directory, 'container.json'), encode(config));
  }

  /** As it was written last; a server may have died since (see readState in recovery.ts). */
  readWrittenState(): ContainerState {
    return { ...NEW_STATE, ...(this.#read('state.json') as ContainerState) };
  }

  /** Undefined where it is damaged, or the container is gone. */
  tryReadState(): ContainerState | undefined {
    return attempt(() => this.readWrittenState());
  }

  /** The caller has the lock. */
  writeState(state: ContainerState): void {
    replaceBlock(join(this.directory, 'state.json'), state);
  }

  #read(name: string): unknown {
    const path = join(this.directory, name);
    try {
      return JSON.parse(readFileSync(path, 'utf8'));
    } catch (cause) {
      if (!this.exists) throw unknownContainer(this.store, this.id);
      throw new OverlayError({
        operation: 'read',
        path,
        reason: (cause as Error).message,
        remedy: `remove the container with \`tsoverlay rm -f ${this.id.slice(0, 12)}\``,
        cause,
      });
    }
  }

  /** Undefined where a server or another command has it. */
  tryLock(): Fd | undefined {
    const path = this.path('lock');
    const opened = openPath(fromText(path), O_RDWR | O_CREAT, 0o600);
    if (opened < 0 && !this.exists) throw unknownContainer(this.store, this.id);
    const fd = new Fd(check(opened, { operation: 'lock container', path }));
    const status = lock(fd.number, LOCK_EXCLUSIVE | LOCK_NONBLOCKING);
    // Who removed it meanwhile left a lock on nothing.
    if (status >= 0 && this.exists) return fd;
    fd.close();
    if (status >= 0) throw unknownContainer(this.store, this.id);
    if (status === -EAGAIN) return undefined;
    throw new OverlayError({ operation: 'lock container', path, errno: status });
  }

  /** The same, but waits for a while: the kernel tells nobody that a lock is free. */
  async lockWithin(milliseconds: number): Promise<Fd | undefined> {
    for (const deadline = Date.now() + milliseconds; ; await delay(LOCK_LOOK_MS)) {
      const taken = this.tryLock();
      if (taken !== undefined || Date.now() > deadline) return taken;
    }
  }
}

/** What `read` answers; undefined where it throws an OverlayError. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (failure) {
    if (failure instanceof OverlayError) return undefined;
    throw failure;
  }
}

export function encode(value: object): Buffer {
  return Buffer.from(`${JSON.stringify(value, null, 2)}\n`);
}

export function listContainers(store: Store): Container[] {
  const directory = join(store.root, 'containers');
  if (!existsSync(directory)) return [];
  try {
    return readdirSync(directory)
      .filter((name) => /^[0-9a-f]{64}$/.test(name))
      .map((id) => new Container(store, id));
  } catch (failure) {
    throw storeFailure('list the containers in', directory, failure);
  }
}

interface Known {
  container: Container;
  config: ContainerConfig;
}

/** Those whose configuration can be read. */
export function readWholeContainers(store: Store): Known[] {
  return listContainers(store).flatMap((container) => {
    const config = container.tryReadConfig();
    return config === undefined ? [] : [{ container, config }];
  });
}

/** Those that people know of: a build's own are not among them. */
export function readListedContainers(store: Store): Known[] {
  return readContainers(store).filter(({ config }) => config.isBuild !== true);
}

/** All of them; one that is being removed is not listed. Throws an OverlayError for one that is damaged. */
export function readContainers(store: Store): Known[] {
  return listContainers(store).flatMap((container) => {
    try {
      return [{ container, config: container.readConfig() }];
    } catch (failure) {
      if (container.exists) throw failure;
      return [];
    }
  });
}

/** Finds a container by name, by id or the beginning of one; undefined where there is none. */
export function lookUpContainer(store: Store, text: string): Container | undefined {
  const named = readWholeContainers(store).find(({ config }) => config.name === text);
  if (named !== undefined) return named.container;
  if (!/^[0-9a-f]+$/.test(text)) return undefined;
  const matches = listContainers(store).filter(({ id }) => id.startsWith(text));
  if (matches.length <= 1) return matches[0];
  throw new OverlayError({
    operation: 'find container',
    path: text,
    reason: `${matches.length} containers have an id that begins so`,
    remedy: 'give more of it',
  });
}

export function findContainer(store: Store, text: string): Container {
  const found = lookUpContainer(store, text);
  if (found === undefined) throw unknownContainer(store, text);
  return found;
}

function unknownContainer(store: Store, text: string): OverlayError {
  const names = readWholeContainers(store).map(({ config }) => config.name);
  const near = names.length === 0 ? undefined : nearestName(text, names);
  return new OverlayError({
    operation: 'find container',
    path: text,
    reason: 'there is no such container',
    remedy: near === undefined ? 'see `tsoverlay ps -a`' : `did you mean ${near}?`,
  });
}

/** Throws UsageError for what cannot be a name. */
export function checkNameForm(name: string): void {
  if (RESTRICTED_NAME.test(name) && name.length <= LONGEST_NAME) return;
  throw new UsageError(`${JSON.stringify(name)} cannot be the name of a container`, NAME_RULE);
}

/** Throws as `checkNameForm` does, and OverlayError for a name that another container has. */
export function checkName(store: Store, name: string): void {
  checkNameForm(name);
  const owner = readWholeContainers(store).find(({ config }) => config.name === name);
  if (owner === undefined) return;
  throw new OverlayError({
    operation: 'name container',
    path: name,
    reason: `container ${owner.config.id.slice(0, 12)} has that name`,
    remedy: `choose another, or remove it with \`tsoverlay rm ${name}\``,
  });
}

/** Throws as `checkName` does. */
export async function renameContainer(container: Container, name: string): Promise<void> {
  using _names = await StoreLock.take(container.store.root, 'containers');
  const config = container.readConfig();
  if (config.name === name) return;
  checkName(container.store, name);
  container.writeConfig({ ...config, name });
}
