// SPDX-License-Identifier: MIT
/**
 * umount(8) returns when the kernel has taken a mount away, not when its server has closed
 * everything (fuse_kill_sb_anon does not wait for it), so for a moment the upper is still locked.
 * A mount of the same layers that comes at once waits for that moment instead of being refused.
 */
import { fromText } from '../base/bytes.js';
import { EAGAIN } from '../base/errno.js';
import { OverlayError } from '../base/errors.js';
import type { LayerSet } from '../overlay/layers/layer-set.js';
import type { Union } from '../overlay/nodes/union.js';
import { openUnion } from '../overlay/open/open.js';
import { listMounts } from '../sys/mounts.js';
import { readRecords } from './records.js';

/** Milliseconds; a server that ends has copies to finish at most. */
const LONGEST_ENDING = 2000;
const RETRY_AFTER = 10;

const clock = new Int32Array(new SharedArrayBuffer(4));

/** As openUnion, on a thread that may be blocked; a lock that a live mount holds is refused at once. */
export function openWhenLetGo(options: LayerSet): Union {
  const deadline = performance.now() + LONGEST_ENDING;
  for (;;) {
    try {
      return openUnion(options);
    } catch (failure) {
      const held = failure instanceof OverlayError && failure.errno === -EAGAIN;
      if (!held || performance.now() > deadline || isMounted(options)) throw failure;
    }
    Atomics.wait(clock, 0, 0, RETRY_AFTER);
  }
}

/** Whether a live mount has the upper or the work directory, in whatever namespace its server is. */
function isMounted({ upper, work }: LayerSet): boolean {
  return readRecords().some(
    (record) =>
      (record.upper === upper || record.work === work) &&
      listMounts(record.serverPid).some(({ target }) => target === fromText(record.target)),
  );
}
