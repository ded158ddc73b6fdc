// SPDX-License-Identifier: MIT
/** The runtime of a name. Each is loaded when it is used. */

import type { Runtime } from '../runtime/runtime.js';
import type { Stage } from '../stage/stage-process.js';
import type { Container } from '../state/containers.js';
import type { RuntimeName } from '../state/names.js';

/** `prepared` is a stage that waits already. */
export async function runtimeFor(
  name: RuntimeName,
  container: Container,
  prepared?: Stage,
): Promise<Runtime> {
  if (name === 'builtin') return new (await import('./builtin-runtime.js')).BuiltinRuntime(prepared);
  prepared?.discard();
  return new (await import('./oci-runtime.js')).OciRuntime(name, container);
}
