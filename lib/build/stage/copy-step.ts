// SPDX-License-Identifier: MIT
/** COPY and ADD: where from, where to, as whose, and what that depends on. */
import { posix } from 'node:path';
import { type ByteString, components, fromText, toText } from '../../base/bytes.js';
import { OverlayError } from '../../base/errors.js';
import { accountIn } from '../../container/server/container-spec.js';
import type { Digest } from '../../image/model/digest.js';
import type { StepLayer } from '../../image/store/step-cache.js';
import { openUnion } from '../../overlay/open/open.js';
import { type CopyAttributes, packCopy } from '../copy/copy-archive.js';
import { digestOfSources } from '../copy/copy-digest.js';
import { CopyTree } from '../copy/copy-tree.js';
import { storeStepLayer } from '../copy/store-layer.js';
import { DockerfileError } from '../language/failure.js';
import { IgnoreList } from '../language/ignore.js';
import { parseModeChange } from '../language/mode-change.js';
import type { CopyStep } from '../plan/plan.js';
import { isDirectoryName } from '../plan/steps.js';
import type { Found } from '../source/source-tree.js';
import { resolvePath } from './configure.js';
import { CopySources } from './copy-sources.js';
import { stepKey } from './keys.js';
import { chainOf, layerSetOf } from './stage-state.js';
import type { LayerStep, StepSetting } from './step.js';

/** What one copy is made from. */
interface Copy {
  setting: StepSetting;
  planned: CopyStep<string>;
  sources: CopySources;
  /** `--exclude` */
  skips: (path: ByteString) => boolean;
}

export async function makeCopy(setting: StepSetting, planned: CopyStep<string>): Promise<LayerStep> {
  const skips = skipsOf(planned.excludes);
  const sources = await CopySources.find(setting, planned);
  const copy = { setting, planned, sources, skips };
  const key = keyOf(copy);
  return {
    key,
    createdBy: planned.text,
    async make() {
      const layer = await storeCopy(copy, await sources.unpacked());
      // What was copied must be what the key says.
      if (keyOf(copy) === key) return layer;
      throw new OverlayError({
        operation: 'copy',
        path: sources.pieces.map(({ text }) => text).join(' '),
        reason: 'files were changed while they were copied',
        remedy: 'build again when nothing writes to them',
      });
    },
    [Symbol.dispose]: () => sources[Symbol.dispose](),
  };
}

function skipsOf(patterns: readonly string[]): (path: ByteString) => boolean {
  const list = IgnoreList.of(patterns);
  return list.isEmpty ? () => false : (path) => list.ignores(toText(path));
}

function keyOf({ setting: { state }, planned, sources: { pieces, found }, skips }: Copy): Digest {
  const { kind, destination, parents, key } = planned;
  const shape = pieces.map((piece) =>
    piece.found.map((found) => (found.node.isDirectory() && !parents ? '/' : keptPath(found).join('/'))),
  );
  return stepKey(kind, key, {
    layers: chainOf(state),
    destination: resolvePath(state.config, destination) + (isDirectoryName(destination) ? '/' : ''),
    shape,
    content: digestOfSources(found, skips),
  });
}

/** `all`: the sources with archives taken apart. */
async function storeCopy({ setting, planned, skips }: Copy, all: readonly Found[]): Promise<StepLayer> {
  const { build, state } = setting;
  const { place, link, parents, destination, chmod } = planned;
  const layers = link ? undefined : layerSetOf(build.store, state);
  const base = layers === undefined ? undefined : openUnion(layers);
  const tree = new CopyTree(base);
  try {
    const target = resolvePath(state.config, destination);
    const isInto = isDirectoryName(destination) || all.length > 1;
    for (const found of all) {
      const path = parents ? posix.join(target, parentOf(found)) : target;
      tree.copy(found, fromText(path), isInto || parents, skips);
    }
    const attributes: CopyAttributes = {
      owner: ownerOf(setting, planned),
      mode: chmod === undefined ? undefined : parseModeChange(place, chmod),
    };
    return await storeStepLayer(build.store, packCopy(base, tree, attributes), state.layers);
  } finally {
    tree[Symbol.dispose]();
    base?.close();
  }
}

/** What `--parents` keeps of a path. */
function keptPath({ path, pivot }: Found): ByteString[] {
  return components(path).slice(pivot);
}

/** Of a file its directory, of a directory itself. */
function parentOf(found: Found): string {
  const parts = keptPath(found);
  return toText((found.node.isDirectory() ? parts : parts.slice(0, -1)).join('/'));
}

/** Names are those of the image so far. */
function ownerOf({ build, state }: StepSetting, { chown, place }: CopyStep<string>): CopyAttributes['owner'] {
  if (chown === undefined) return undefined;
  const view = layerSetOf(build.store, state);
  const [user, group] = chown.split(':');
  if (view === undefined) {
    if (/^\d+(:\d+)?$/.test(chown)) return { uid: Number(user), gid: Number(group ?? user) };
    throw new DockerfileError(place, `--chown=${chown}: an empty image has no names`, 'give numbers');
  }
  const { uid, gid } = accountIn(view, chown);
  // A number that has no account is its own group, too.
  return { uid, gid: group === undefined && /^\d+$/.test(user) ? Number(user) : gid };
}
