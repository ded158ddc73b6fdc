// SPDX-License-Identifier: MIT
/** WORKDIR: what is missing of the directory is made, and belongs to USER (as with BuildKit and Buildah). */
import { fromText } from '../../base/bytes.js';
import { accountIn } from '../../container/server/container-spec.js';
import { openUnion } from '../../overlay/open/open.js';
import { packCopy } from '../copy/copy-archive.js';
import { CopyTree } from '../copy/copy-tree.js';
import { storeStepLayer } from '../copy/store-layer.js';
import type { WorkdirStep } from '../plan/plan.js';
import { stepKey } from './keys.js';
import { chainOf, layerSetOf } from './stage-state.js';
import type { LayerStep, StepSetting } from './step.js';

/** The state has the directory in its configuration already. */
export function makeWorkingDirectory({ build, state }: StepSetting, { key }: WorkdirStep<string>): LayerStep {
  const { store } = build;
  const path = state.config.WorkingDir ?? '/';
  const user = state.config.User ?? '';
  return {
    key: stepKey('WORKDIR', key, { layers: chainOf(state), path, user }),
    createdBy: `WORKDIR ${path}`,
    async make() {
      const layers = layerSetOf(store, state);
      const base = layers === undefined ? undefined : openUnion(layers);
      const tree = new CopyTree(base);
      try {
        if (!tree.makeDirectory(fromText(path))) return undefined;
        const owner = layers === undefined || user === '' ? undefined : accountIn(layers, user);
        return await storeStepLayer(store, packCopy(base, tree, { owner, mode: undefined }), state.layers);
      } finally {
        tree[Symbol.dispose]();
        base?.close();
      }
    },
    [Symbol.dispose]: () => undefined,
  };
}
