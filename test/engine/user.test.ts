// SPDX-License-Identifier: MIT
/** The library as an ordinary user: no mount, no privilege, marks in user.overlay.*. */
import { spawnSync } from 'node:child_process';
import t from 'tap';
import { makeLayers, publicCheckout, scratch, shell } from '../support/ground.js';

const USER = ['--reuid=1234', '--regid=1234', '--clear-groups'];

t.test('an ordinary user opens an overlay, changes it and opens it again', async (t) => {
  const base = scratch(t);
  makeLayers(base, 1);
  shell(
    'echo 1 > lower0/f; echo 2 > lower0/g; mkdir lower0/d; echo 3 > lower0/d/x; chown -R 1234:1234 .',
    base,
  );
  const program = `
    import { Overlay } from '${publicCheckout(t, base)}/dist/lib/index.js';
    const layers = { lowers: ['lower0'], upper: 'upper', work: 'work' };
    let overlay = await Overlay.open(layers);
    await overlay.writeFile('/f', 'changed');
    await overlay.unlink('/g');
    await overlay.rename('/d', '/e');
    await overlay.close();
    overlay = await Overlay.open(layers);
    console.log(JSON.stringify([
      (await overlay.readdir('/')).sort(), await overlay.readFile('/e/x', 'utf8'), await overlay.readFile('/f', 'utf8'),
      await overlay.changes(),
    ]));
    await overlay.close();
  `;
  const result = spawnSync('setpriv', [...USER, process.execPath, '--input-type=module', '-e', program], {
    cwd: base,
    encoding: 'utf8',
  });
  t.equal(result.stderr, '');
  t.strictSame(JSON.parse(result.stdout), [
    ['e', 'f'],
    '3\n',
    'changed',
    [
      { kind: 'D', path: '/d' },
      { kind: 'A', path: '/e' },
      { kind: 'A', path: '/e/x' },
      { kind: 'C', path: '/f' },
      { kind: 'D', path: '/g' },
    ],
  ]);
  t.match(shell('getfattr -d -m user.overlay e', `${base}/upper`), /user\.overlay\.redirect="d"/);
});

t.test('marks that the user may not set are refused with what to do', async (t) => {
  const base = scratch(t);
  makeLayers(base, 1);
  shell('chown -R 1234:1234 .', base);
  const program = `
    import { Overlay } from '${publicCheckout(t, base)}/dist/lib/index.js';
    await Overlay.open({ lowers: ['lower0'], upper: 'upper', work: 'work', userxattr: false }).catch((error) => console.log(error.message));
  `;
  const result = spawnSync('setpriv', [...USER, process.execPath, '--input-type=module', '-e', program], {
    cwd: base,
    encoding: 'utf8',
  });
  t.match(result.stdout, /trusted\.overlay\.\* attributes cannot be set; run as root, or give -o userxattr/);
});
