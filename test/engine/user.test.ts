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

t.test(
  'what an ordinary user has open or may change does not depend on a mode that refuses it anew',
  async (t) => {
    const base = scratch(t);
    makeLayers(base, 1);
    shell(
      `cd lower0; for f in a b c d g; do echo $f > $f; done; chmod 444 g; mkdir ro rt rm; echo x > ro/x; echo x > rt/x; echo x > rm/x
     chmod 555 ro rt; chown -R 1234:1234 ..`,
      base,
    );
    const program = `
    import { Overlay } from '${publicCheckout(t, base)}/dist/lib/index.js';
    const overlay = await Overlay.open({ lowers: ['lower0'], upper: 'upper', work: 'work' });
    const opened = async (path, flags, mode, act) => {
      const file = await overlay.open(path, flags, mode);
      try { return await act(file); } finally { await file.close(); }
    };
    const results = [];
    await overlay.chmod('/a', 0o400);
    results.push(await overlay.readFile('/a', 'utf8'));
    await opened('/new', 'w', 0o444, (file) => file.write('new'));
    results.push(await overlay.readFile('/new', 'utf8'));
    await opened('/b', 'r+', 0, async (file) => { await overlay.chmod('/b', 0o400); await file.write('B'); });
    results.push(await overlay.readFile('/b', 'utf8'));
    results.push(await opened('/c', 'r', 0, async (file) => { await overlay.chmod('/c', 0); return file.readFile('utf8'); }));
    results.push(await opened('/d', 'r+', 0, async (file) => { await overlay.chmod('/d', 0); await file.write('D'); return file.readFile('utf8'); }));
    await overlay.link('/g', '/linked');
    await overlay.rename('/g', '/moved');
    await overlay.rename('/ro', '/ro2');
    await overlay.utimes('/rt', 5, 5);
    await overlay.rm('/rm', { recursive: true });
    await overlay.mkdir('/rm', 0o555);
    await overlay.mkdir('/made', 0);
    results.push(await overlay.readdir('/ro2'), (await overlay.stat('/rt')).mtimeMs, await overlay.readdir('/rm'));
    await overlay.close();
    console.log(JSON.stringify(results));
  `;
    const result = spawnSync('setpriv', [...USER, process.execPath, '--input-type=module', '-e', program], {
      cwd: base,
      encoding: 'utf8',
    });
    t.equal(result.stderr, '');
    t.strictSame(JSON.parse(result.stdout), ['a\n', 'new', 'B\n', 'c\n', '\n', ['x'], 5000, []]);
    const modes = shell('stat -c "%n %a" a b c d linked made moved new rm ro2 rt', `${base}/upper`);
    const expected = 'a 400 b 400 c 0 d 0 linked 444 made 0 moved 444 new 444 rm 555 ro2 555 rt 555';
    t.equal(modes.trim().replaceAll('\n', ' '), expected, 'a mode is as it was said');
  },
);
