// SPDX-License-Identifier: MIT
/** How much of a file a copy-up brings to the upper, asked of the engine itself. */
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { copyUp } from '../../lib/overlay/copy-up/copy-up.js';
import { type CopyUp, LAZY, METADATA, truncatedTo, WHOLE } from '../../lib/overlay/copy-up/extent.js';
import type { LayerSet } from '../../lib/overlay/layers/layer-set.js';
import { findNode } from '../../lib/overlay/names/lookup.js';
import type { FileNode } from '../../lib/overlay/nodes/node.js';
import { openUnion } from '../../lib/overlay/open/open.js';
import { getXattr } from '../../lib/sys/xattrs.js';
import { prepare } from '../support/overlay.js';

const MIB = 1 << 20;

/** What lies in the upper after the copy-up of a file of 16 MiB without holes. */
function copied(t: Test, extent: CopyUp, features: Partial<LayerSet>): object {
  const { lowers, upper, work } = prepare(t, ['head -c 16M /dev/zero > f']);
  const union = openUnion({ lowers, upper, work, ...features });
  try {
    const node = findNode(union, union.root, 'f') as FileNode;
    t.equal(copyUp(union, node, extent), 0);
    const { size, blocks } = lstatSync(join(upper, 'f'));
    const isMarked = typeof getXattr(union.upper!.fd, 'f', union.marks.metacopy) !== 'number';
    return { mib: size / MIB, isMarked, isEmpty: blocks === 0, isInFlight: union.lazy.has(node) };
  } finally {
    union.close();
  }
}

t.test('a union with metacopies copies what the change needs and no more', async (t) => {
  const features = { metacopy: true, copyUp: 'lazy' } as const;
  const whole = { mib: 16, isMarked: false, isEmpty: false, isInFlight: false };
  t.strictSame(copied(t, METADATA, features), { ...whole, isMarked: true, isEmpty: true });
  t.strictSame(copied(t, LAZY, features), { ...whole, isMarked: true, isEmpty: true, isInFlight: true });
  t.strictSame(copied(t, WHOLE, features), whole);
  t.strictSame(copied(t, truncatedTo(MIB), features), { ...whole, mib: 1 });
  t.strictSame(copied(t, truncatedTo(0), features), { ...whole, mib: 0, isEmpty: true });
});

t.test('a union without metacopies copies all of the data that stays', async (t) => {
  const whole = { mib: 16, isMarked: false, isEmpty: false, isInFlight: false };
  for (const extent of [METADATA, LAZY, WHOLE]) t.strictSame(copied(t, extent, {}), whole, extent.kind);
  t.strictSame(copied(t, truncatedTo(MIB), {}), { ...whole, mib: 1 });
});
