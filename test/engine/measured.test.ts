// SPDX-License-Identifier: MIT
/** What a lookup or a creation says that it has read is what the disk says. */
import t, { type Test } from 'tap';
import { createNode } from '../../lib/overlay/changes/create.js';
import { createUnnamed } from '../../lib/overlay/changes/create-unnamed.js';
import { ownCreator } from '../../lib/overlay/copy-up/credentials.js';
import { getAttributes } from '../../lib/overlay/data/attributes.js';
import type { LayerSet } from '../../lib/overlay/layers/layer-set.js';
import { findNode } from '../../lib/overlay/names/lookup.js';
import { Measured } from '../../lib/overlay/nodes/measured.js';
import type { OverlayNode } from '../../lib/overlay/nodes/node.js';
import { acquire } from '../../lib/overlay/nodes/references.js';
import type { Union } from '../../lib/overlay/nodes/union.js';
import { openUnion } from '../../lib/overlay/open/open.js';
import { S_IFREG, Stat } from '../../lib/sys/stat.js';
import { shell } from '../support/ground.js';
import { open, prepare } from '../support/overlay.js';

/** A lower file of each kind, some of them copied up, and files of the upper alone. */
async function prepareAll(t: Test): Promise<LayerSet> {
  const layers = prepare(t, [
    `echo plain > plain; ln -s plain link; mkfifo pipe; mknod device c 1 3
     echo two > one; ln one two; echo three > three; ln three four
     echo up > copied; truncate -s 1M sparse; echo gone > removed`,
  ]);
  const overlay = await open(t, layers);
  await overlay.appendFile('/copied', 'more');
  await overlay.chmod('/three', 0o600);
  await overlay.rm('/removed');
  await overlay.close();
  shell('echo own > own; echo both > both; ln both same', layers.upper);
  return layers;
}

function agrees(t: Test, union: Union, node: OverlayNode | number, measured: Measured, name: string): void {
  if (typeof node === 'number') throw new Error(`${name}: ${node}`);
  const [told, asked] = [new Stat(), new Stat()];
  if (!node.isDirectory()) t.equal(measured.file, node, `${name} was measured`);
  t.equal(getAttributes(union, node, told, measured), 0);
  t.equal(getAttributes(union, node, asked), 0);
  // The index is reached through another mount of the same file system.
  t.strictSame({ ...told, mountId: 0 }, { ...asked, mountId: 0 }, name);
}

for (const more of [{ index: true }, { index: false }, { index: true, readOnly: true }]) {
  t.test(`attributes read by a lookup are those on disk: ${JSON.stringify(more)}`, async (t) => {
    const union = openUnion({ ...(await prepareAll(t)), ...more });
    t.teardown(() => union.close());
    const names = ['plain', 'link', 'pipe', 'device', 'one', 'three', 'copied', 'sparse', 'own', 'both'];
    for (const name of names) {
      const measured = new Measured();
      const node = findNode(union, union.root, name, measured);
      agrees(t, union, node, measured, name);
      if (typeof node !== 'number') acquire(node);
      t.equal(findNode(union, union.root, name, measured.into(new Stat())), node);
      t.equal(measured.file, null, `${name} is known, and was not measured again`);
    }
    const measured = new Measured();
    t.ok(Number(findNode(union, union.root, 'removed', measured)) < 0);
    t.equal(measured.file, null, 'what is not there was not measured');
  });
}

t.test('attributes read by a creation are those on disk, as the upper keeps them', async (t) => {
  for (const more of [{}, { xattrPermissions: 2 } as const]) {
    const union = openUnion({ ...prepare(t, ['mkdir d']), ...more });
    const measured = new Measured();
    const creation = { mode: S_IFREG | 0o640, device: 0, target: '', creator: ownCreator() };
    agrees(t, union, createNode(union, union.root, 'new', creation, measured), measured, 'new');
    const again = measured.into(new Stat());
    const unnamed = createUnnamed(union, union.root, S_IFREG | 0o600, ownCreator(), again);
    agrees(t, union, unnamed, again, 'unnamed');
    union.close();
  }
});
