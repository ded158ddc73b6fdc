// SPDX-License-Identifier: MIT
/**
 * Entry of the server process: started by mountInBackground for a mount that begins, or by
 * a shim (`resume`) for one whose server has ended. The serving thread takes as long to
 * start as everything else here, so it goes first.
 */
import { prepareServingThread } from './serving-worker.js';

// The thread takes it over (leave-starter.ts).
process.umask(0o022);
prepareServingThread();
if (process.argv[2] === 'resume') void import('./resumed-server.js');
else void import('./background-server.js');
