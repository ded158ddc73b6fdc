import { chainIds } from '../../image/model/digest.js';
import { familiarName, familiarRepository, parseName } from '../../image/model/reference.js';
import { layerSize } from '../../image/store/collect.js';
import type { Image } from '../../image/store/images.js';
import type { Store } from '../../image/store/store.js';

/** As `docker image inspect` answers it. */
export function describeImage(store: Store, image: Image): Record<string, unknown> {
  const { config, manifest } = image;
  const diffIds = config.rootfs.diff_ids;
  const paths = diffIds.map((diffId) => store.diffPath(diffId)).reverse();
  return {
    Id: image.id,
    RepoTags: image.names.map((name) => familiarName(parseName(name))),
    RepoDigests: image.repositoryDigests.map((name) => {
      const reference = parseName(name);
      return `${familiarRepository(reference)}@${reference.digest}`;
    }),
    Parent: '',
    Comment: config.history?.at(-1)?.comment ?? '',
    Created: config.created ?? '',
    Author: config.author ?? '',
    Config: config.config ?? {},
    Architecture: config.architecture,
    ...(config.variant === undefined ? {} : { Variant: config.variant }),
    Os: config.os,
    Size: diffIds.reduce((sum, diffId) => sum + layerSize(store, diffId), 0),
    GraphDriver: { Name: 'tsoverlay', Data: { LowerDir: paths.join(':') } },
    RootFS: { Type: 'layers', Layers: diffIds, ChainIDs: chainIds(diffIds) },
    Descriptor: { mediaType: image.mediaType, digest: image.manifestDigest },
    Manifest: { Config: manifest.config.digest, Layers: manifest.layers },
  };
}
