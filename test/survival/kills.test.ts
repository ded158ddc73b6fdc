// SPDX-License-Identifier: MIT
/**
 * The server is killed again and again at random moments, and nobody notices: every answer,
 * every errno and the whole tree are what kernel overlayfs gives for the same operations.
 *
 * KILLS sets how often, KILLS_SEED repeats a run.
 */
import fc from 'fast-check';
import t from 'tap';
import { scratch } from '../support/ground.js';
import { LONGEST_GAP_MS, startKiller } from '../support/killer.js';
import { operation } from '../support/operations.js';
import {
  compare,
  compareCase,
  FLAVOURS,
  makeLowers,
  makePair,
  mounted,
  OWN_FLAVOURS,
} from '../support/pairs.js';
import { snapshot } from '../support/snapshot.js';

const kills = Number(process.env.KILLS ?? 30);
const seed = Number(process.env.KILLS_SEED ?? Date.now() % 2 ** 31);
/** More than are done while the kills go on; each has a directory. */
const SEQUENCES = Math.min(400, 120 + kills);
const ALL = [...FLAVOURS, ...OWN_FLAVOURS];

for (const [index, flavour] of ALL.entries()) {
  t.test(
    `nobody notices that the server is killed, ${flavour.options} ${JSON.stringify(flavour.ours)}`,
    async (t) => {
      t.comment(`seed ${seed + index}`);
      const base = scratch(t);
      const lowers = makeLowers(base, SEQUENCES);
      const pair = makePair(base, lowers);
      await mounted(t, pair, flavour, async () => {
        const killer = startKiller(pair.ours.target, Math.ceil(kills / ALL.length), 40, seed + index);
        let running = true;
        const ended = killer.done.finally(() => {
          running = false;
        });
        const sequences = fc.sample(fc.array(operation, { minLength: 5, maxLength: 60 }), {
          seed: seed + index,
          numRuns: SEQUENCES,
        });
        let compared = 0;
        while (running && compared < SEQUENCES) {
          compareCase(pair, `case${compared}`, sequences[compared]);
          compared++;
          // Lets the killer say that it has ended.
          await new Promise((resolve) => setImmediate(resolve));
        }
        killer.stop();
        const { kills: killed, longestGap } = await ended;
        compare('the whole tree', snapshot(pair.kernel.target), snapshot(pair.ours.target));
        t.comment(
          `${killed} kills during ${compared} sequences, a new server after ${longestGap.toFixed(0)} ms at most`,
        );
        t.ok(killed > 0);
        t.ok(longestGap < LONGEST_GAP_MS, 'a new server is there within seconds');
      });
    },
  );
}
