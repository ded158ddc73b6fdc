// SPDX-License-Identifier: MIT
/** Stages that end before they have become a program. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { StartPlan } from '../../../lib/container/stage/stage-plan.js';
import { Stage } from '../../../lib/container/stage/stage-process.js';
import { ended, scratch, until } from '../../support/ground.js';

const descriptors = (): number => readdirSync('/proc/self/fd').length;
const children = (): string => readFileSync(`/proc/self/task/${process.pid}/children`, 'latin1').trim();

t.test('a stage that is killed before all is prepared has failed, and leaves no descriptor', async (t) => {
  // Its first step is to write into these; each waits for who reads it.
  const cgroupFiles = ['read', 'unread'].map((name) => join(scratch(t), name));
  execFileSync('mkfifo', cgroupFiles);
  // What is opened once and stays.
  new Stage().discard();
  await until(() => children() === '', 'the stage to end');
  const before = descriptors();
  const stage = new Stage();
  const pid = Number(children());
  const prepare = (): boolean => t.fail('nothing was prepared');
  const run = stage.run({ kind: 'start', cgroupFiles } as unknown as StartPlan, prepare);
  const refused = t.rejects(run, { message: 'start a stage: it has failed' });
  t.equal(await readFile(cgroupFiles[0], 'latin1'), '0');
  process.kill(pid, 'SIGKILL');
  await refused;
  await ended(pid);
  await until(() => descriptors() === before, 'its descriptors to be closed');
});
