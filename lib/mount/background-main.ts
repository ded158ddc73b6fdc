// SPDX-License-Identifier: MIT
/**
 * Entry of the server process that mountInBackground starts. The serving thread
 * takes as long to start as everything else here, so it goes first.
 */
import { prepareServingThread } from './serving-worker.js';

prepareServingThread();
void import('./background-server.js');
