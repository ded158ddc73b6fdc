// SPDX-License-Identifier: MIT
/** What a RUN has mounted beside its layers, from the request to the mount and back. */
import { mkdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fromText, toText } from '../../base/bytes.js';
import { check } from '../../base/errors.js';
import type { AsyncRollback } from '../../base/rollback.js';
import type { MountRequest } from '../../container/state/config.js';
import { fillFromView } from '../../container/storage/fill-from-view.js';
import { makeShownDirectory, Staging } from '../../image/store/staging.js';
import type { Store } from '../../image/store/store.js';
import { mountInBackground } from '../../mount/background.js';
import { askServer } from '../../mount/control.js';
import type { LayerSet } from '../../overlay/layers/layer-set.js';
import { walk } from '../../overlay/names/walk.js';
import { release } from '../../overlay/nodes/references.js';
import { openUnion } from '../../overlay/open/open.js';
import { prepareRuntimeDirectory } from '../../supervise/runtime-directory.js';
import { changeMode, changeOwner } from '../../sys/entries.js';
import { AT_FDCWD, Fd, O_DIRECTORY, O_PATH, openInRoot, openPath } from '../../sys/files.js';
import { hasTrustedAttributes } from '../../sys/privilege.js';
import { DockerfileError, type Place } from '../language/failure.js';
import type { Heredoc } from '../language/lines.js';
import type { CacheMount, SecretMount } from '../language/run-mount.js';
import { scriptPath } from '../language/scripts.js';
import type { Origin, PlannedBind, PlannedCache, PlannedMount } from '../plan/plan.js';
import type { Secret } from '../source/secret.js';
import { removeIfEmpty, secretsDirectory } from './leftovers.js';
import { takeMountCache } from './mount-cache.js';

export interface MountSetting {
  store: Store;
  place: Place;
  /** A path relative to it is meant. */
  cwd: string;
  secrets: ReadonlyMap<string, Secret>;
  layersFrom(origin: Origin<string>): Promise<LayerSet>;
  signal: AbortSignal;
  /** Gives everything back when the step is over. */
  undo: AsyncRollback;
}

export interface PreparedMounts {
  requests: MountRequest[];
  /** Variables with secrets. */
  env: string[];
}

const SECRETS = '/run/secrets';

/** Takes what the mounts need. Throws a DockerfileError for what is not there. */
export async function prepareMounts(
  mounts: readonly PlannedMount<string>[],
  scripts: readonly Heredoc[],
  setting: MountSetting,
): Promise<PreparedMounts> {
  const prepared: PreparedMounts = { requests: [], env: [] };
  for (const mount of mounts) {
    const target = targetOf(mount, setting);
    switch (mount.type) {
      case 'tmpfs': {
        const options = mount.size === undefined ? [] : [`size=${mount.size}`];
        prepared.requests.push({ type: 'tmpfs', source: '', target, readOnly: false, options });
        break;
      }
      case 'cache':
        prepared.requests.push(bind(await cacheSource(mount, setting), target, mount.readOnly));
        break;
      case 'bind':
        prepared.requests.push(bind(await bindSource(mount, setting), target, !mount.writable));
        break;
      case 'secret':
        addSecret(mount, target, setting, prepared);
        break;
    }
  }
  if (scripts.length > 0) {
    const staging = Staging.make(setting.store);
    setting.undo.push(() => staging[Symbol.dispose]());
    for (const { name, content } of scripts) {
      const path = join(staging.path, name);
      writeFileSync(path, content, { mode: 0o755 });
      check(changeMode(AT_FDCWD, fromText(path), 0o755), { operation: 'write', path });
      prepared.requests.push(bind(path, scriptPath(name), true));
    }
  }
  return prepared;
}

/** Without a target it is the working directory (dispatchRunMounts in BuildKit's convert_runmount.go). */
function targetOf(mount: PlannedMount<string>, { cwd, place }: MountSetting): string {
  const target = posix.resolve(cwd, mount.target);
  if (target !== '/' || mount.type === 'secret') return target;
  throw new DockerfileError(
    place,
    mount.target === ''
      ? '--mount: it has no target, and the working directory is the root'
      : `--mount: target=${mount.target} is the root`,
    'say where, as in target=/cache',
  );
}

function bind(source: string, target: string, readOnly: boolean): MountRequest {
  return { type: 'bind', source, target, readOnly, options: [] };
}

async function cacheSource(mount: PlannedCache<string>, setting: MountSetting): Promise<string> {
  const { origin } = mount;
  const fill =
    origin === undefined ? undefined : (directory: string) => fillFrom(mount, origin, setting, directory);
  const cache = await takeMountCache(setting.store, mount, fill, setting.signal);
  setting.undo.push(() => cache[Symbol.dispose]());
  return cache.path;
}

async function fillFrom(
  { from, source }: CacheMount,
  origin: Origin<string>,
  setting: MountSetting,
  directory: string,
): Promise<void> {
  const layers = await setting.layersFrom(origin);
  const union = openUnion({ ...layers, readOnly: true });
  try {
    const node = walk(union, fromText(source), true);
    if (typeof node === 'number') throw nothingThere(setting.place, source, from);
    if (node.isDirectory()) fillFromView(union, node, directory, source);
    release(union, node);
  } finally {
    union.close();
  }
}

function nothingThere(place: Place, source: string, from: string | undefined): DockerfileError {
  return new DockerfileError(place, `--mount: ${from ?? 'the context'} has no ${source}`);
}

/** A directory or file of the context or of other layers, as a path of this machine. */
async function bindSource(mount: PlannedBind<string>, setting: MountSetting): Promise<string> {
  const { from, origin, source, writable } = mount;
  const layers = await setting.layersFrom(origin);
  const plain = !writable && layers.lowers.length === 1 && origin.kind === 'context';
  const root = plain ? layers.lowers[0] : await mountLayers(layers, setting);
  using fd = new Fd(check(openPath(fromText(root), O_PATH | O_DIRECTORY), { operation: 'open', path: root }));
  const found = openInRoot(fd.number, source === '/' ? '.' : fromText(source), O_PATH);
  if (found < 0) throw nothingThere(setting.place, source, from);
  using at = new Fd(found);
  return toText(readlinkSync(`/proc/self/fd/${at.number}`, 'latin1'));
}

/** Mounts layers with an upper that is thrown away. */
async function mountLayers(layers: LayerSet, { store, undo }: MountSetting): Promise<string> {
  const staging = Staging.make(store);
  undo.push(() => staging[Symbol.dispose]());
  const [upper, work, target] = ['upper', 'work', 'view'].map((name) => join(staging.path, name));
  for (const path of [upper, work, target]) makeShownDirectory(path);
  const userxattr = !hasTrustedAttributes();
  const server = await mountInBackground({
    target,
    options: { lowers: layers.lowers, upper, work, userxattr, index: false, source: 'tsoverlay-build' },
  });
  undo.push(async () => {
    await askServer(server, { command: 'unmount', detach: false }, 0);
  });
  return target;
}

function addSecret(
  mount: SecretMount,
  target: string,
  setting: MountSetting,
  prepared: PreparedMounts,
): void {
  const secret = setting.secrets.get(mount.id);
  if (secret === undefined) {
    if (!mount.required) return;
    throw new DockerfileError(
      setting.place,
      `the secret ${mount.id} is not given`,
      `give it with --secret id=${mount.id},src=FILE`,
    );
  }
  const content = secret.read();
  if (mount.env !== undefined) prepared.env.push(`${mount.env}=${content.toString('utf8')}`);
  if (mount.env !== undefined && mount.target === '') return;
  const place = mount.target === '' ? `${SECRETS}/${posix.basename(mount.id)}` : target;
  prepared.requests.push(bind(writeSecret(content, mount, setting), place, true));
}

/** In the runtime directory, which lies in memory where the system has one there. */
function writeSecret(content: Buffer, { mode, uid, gid }: SecretMount, { undo }: MountSetting): string {
  const root = prepareRuntimeDirectory();
  const all = secretsDirectory(root);
  mkdirSync(all, { recursive: true, mode: 0o700 });
  const staging = Staging.make({ root });
  undo.push(() => {
    staging[Symbol.dispose]();
    removeIfEmpty(all);
  });
  const path = join(staging.path, 'secret');
  writeFileSync(path, content, { mode: 0o600 });
  const story = { operation: 'hand over a secret', path };
  check(changeOwner(AT_FDCWD, fromText(path), uid, gid), story);
  check(changeMode(AT_FDCWD, fromText(path), mode), story);
  return path;
}
