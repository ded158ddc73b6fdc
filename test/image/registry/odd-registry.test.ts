// SPDX-License-Identifier: MIT
/** The registry that tests tell how to behave is, when it is told nothing, one that others can use, too. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { scratch } from '../../support/ground.js';
import { storeCli } from '../../support/images.js';
import { OddRegistry } from '../../support/odd-registry.js';

const execute = promisify(execFile);

t.test('images are pulled, pushed and copied by us and by skopeo', async (t) => {
  const base = scratch(t);
  const registry = await OddRegistry.start(t);
  const { digest } = registry.image('app', '1', { 'etc/name': 'app' });
  const cli = storeCli(t, base);
  t.match(await cli.ok('pull', `${registry.host}/app:1`), digest);
  await cli.ok('tag', `${registry.host}/app:1`, `${registry.host}/ours:1`);
  await cli.ok('push', `${registry.host}/ours:1`);
  const layout = join(base, 'copied');
  const skopeo = (...args: string[]) => execute('skopeo', ['copy', ...args]);
  await skopeo('--src-tls-verify=false', `docker://${registry.host}/ours:1`, `oci:${layout}:1`);
  await skopeo('--dest-tls-verify=false', `oci:${layout}:1`, `docker://${registry.host}/theirs:1`);
  t.match(await cli.ok('pull', `${registry.host}/theirs:1`), digest);
});
