// SPDX-License-Identifier: MIT
/** WORKDIR: the directory is made where it is missing, as root's, whoever USER is (Dockerfile reference, "WORKDIR"). */
import { fromText } from '../../base/bytes.js';
import { openUnion } from '../../overlay/open.js';
import { packCopy } from '../copy/copy-archive.js';
import { CopyTree } from '../copy/copy-tree.js';
import { storeStepLayer } from '../store-layer.js';
import { stepKey } from './keys.js';
import type { LayerStep, StepSetting } from './stage-builder.js';
import { chainOf, layerSetOf } from './stage-state.js';

export function makeWorkingDirectory({ build, state }: StepSetting, path: string): LayerStep {
  const { store } = build;
  return {
    key: stepKey('WORKDIR', [chainOf(state), path]),
    createdBy: `WORKDIR ${path}`,
    async make() {
      const layers = layerSetOf(store, state);
      const base = layers === undefined ? undefined : openUnion(layers);
      const tree = new CopyTree(base);
      try {
        if (!tree.makeDirectory(fromText(path))) return undefined;
        return await storeStepLayer(
          store,
          packCopy(base, tree, { owner: undefined, mode: undefined }),
          state.layers,
        );
      } finally {
        tree[Symbol.dispose]();
        base?.close();
      }
    },
    [Symbol.dispose]: () => undefined,
  };
}
