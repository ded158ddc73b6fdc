// SPDX-License-Identifier: MIT
/** The same for each of several containers: one that fails does not keep the others from it. */
import { OverlayError } from '../../base/errors.js';
import { type Container, findContainer } from '../../container/state/containers.js';
import { Store } from '../../image/store/store.js';

/** Prints each name when it is done. Throws the failure where there was only one name, else prints each. */
export async function forEachContainer(
  root: string | undefined,
  names: readonly string[],
  work: (container: Container, name: string) => Promise<string | undefined>,
): Promise<void> {
  const store = Store.open(root);
  for (const name of names) {
    try {
      const said = await work(findContainer(store, name), name);
      process.stdout.write(`${said ?? name}\n`);
    } catch (failure) {
      if (names.length === 1 || !(failure instanceof OverlayError)) throw failure;
      process.stderr.write(`tsoverlay: ${failure.message}\n`);
      process.exitCode = 1;
    }
  }
}
