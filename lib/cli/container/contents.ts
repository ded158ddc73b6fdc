// SPDX-License-Identifier: MIT
/** What of `tsoverlay diff`, `commit` and `export` is about containers. */
import { OverlayError } from '../../base/errors.js';
import { CONTAINER_PLACES } from '../../container/server/container-files.js';
import type { ContainerConfig } from '../../container/state/config.js';
import { type Container, lookUpContainer } from '../../container/state/containers.js';
import type { RunConfig } from '../../image/model/image-config.js';
import { packView } from '../../image/pack/pack.js';
import { type CreatedImage, commitLayer, type ImageNotes } from '../../image/store/create-image.js';
import { type Image, listImages } from '../../image/store/images.js';
import { Store } from '../../image/store/store.js';
import type { Change } from '../../overlay/inspect/diff.js';
import { openUnion } from '../../overlay/open/open.js';
import { storedContainer, whileStill } from './live.js';

/** The container that is meant by a word, if one is. */
export function containerNamed(root: string | undefined, name: string): Container | undefined {
  return name.includes('/') ? undefined : lookUpContainer(Store.open(root), name);
}

export async function changesOf(container: Container): Promise<Change[]> {
  const { storage, place } = await storedContainer(container);
  return storage.changes(place).filter(({ kind, path }) => kind !== 'A' || !CONTAINER_PLACES.has(path));
}

/** The merged view as an archive. */
export async function exportContainer(
  container: Container,
  write: (archive: Iterable<Buffer>) => Promise<void>,
): Promise<void> {
  await whileStill(container, false, async ({ storage, place }) => {
    const union = openUnion({ ...storage.view(place), readOnly: true });
    try {
      await write(packView(union));
    } finally {
      union.close();
    }
  });
}

function baseOf({ store }: Container, { image, name }: ContainerConfig): Image {
  const base = listImages(store).find(({ id }) => id === image.id);
  if (base !== undefined) return base;
  throw new OverlayError({
    operation: 'commit',
    path: name,
    reason: `its image ${image.name} was removed from the store`,
    remedy: `get the image again, or use \`tsoverlay export ${name} | tsoverlay import -\``,
  });
}

/** How the image is started when nothing else is said: as the container was. */
function configOf({ options }: ContainerConfig, config: RunConfig): RunConfig {
  const env = new Map([...(config.Env ?? []), ...options.env].map((text) => [text.split('=', 1)[0], text]));
  // An option without a value took the image's away.
  const kept = [...env.values()].filter((text) => text.includes('='));
  return {
    ...config,
    ...(kept.length === 0 ? {} : { Env: kept }),
    ...(options.entrypoint === undefined ? {} : { Entrypoint: options.entrypoint, Cmd: [] }),
    ...(options.command === undefined ? {} : { Cmd: options.command }),
    ...(options.cwd === undefined ? {} : { WorkingDir: options.cwd }),
    ...(options.user === undefined ? {} : { User: options.user }),
    ...(options.stopSignal === undefined ? {} : { StopSignal: options.stopSignal }),
    ...(Object.keys(options.labels).length === 0 ? {} : { Labels: options.labels }),
  };
}

/** What the container changed becomes the topmost layer of a new image. */
export async function commitContainer(
  container: Container,
  notes: ImageNotes,
  pause: boolean,
): Promise<CreatedImage> {
  return whileStill(container, pause, async ({ storage, place, config }) => {
    const configure = (image: RunConfig): RunConfig => {
      const own = configOf(config, image);
      return notes.configure?.(own) ?? own;
    };
    return commitLayer(container.store, baseOf(container, config), storage.pack(place), {
      ...notes,
      configure,
    });
  });
}
