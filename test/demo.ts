// SPDX-License-Identifier: MIT
/**
 * `make demo`: a small root file system in three layers, made from what the
 * machine has, mounted, changed from inside, looked at, unmounted.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const program = resolve('bin/tsoverlay');
const quiet = process.stdout.isTTY !== true;
const bold = (text: string): string => (quiet ? text : `\x1b[1m${text}\x1b[0m`);

if (process.getuid!() !== 0) {
  process.stderr.write('make demo mounts a file system: run it as root (sudo make demo)\n');
  process.exit(1);
}

function say(text: string): void {
  process.stdout.write(`\n${bold(text)}\n`);
}

function shell(script: string, cwd: string): void {
  const result = spawnSync('sh', ['-ec', script], { cwd, stdio: ['ignore', 'inherit', 'inherit'] });
  if (result.status !== 0) throw new Error(`a step of the demo failed: ${script}`);
}

/** Copies a program and the libraries it is linked to, at the paths where it looks for them. */
function installProgram(path: string, root: string): void {
  const libraries = execFileSync('ldd', [path], { encoding: 'utf8' }).match(/\/\S+/g) ?? [];
  for (const file of [path, ...libraries]) execFileSync('install', ['-D', file, join(root, file)]);
}

const base = mkdtempSync(join(tmpdir(), 'tsoverlay-demo-'));
const target = join(base, 'root');
try {
  for (const name of ['base', 'config', 'app', 'changes', 'work', 'root']) mkdirSync(join(base, name));

  say('1. Three read-only layers: programs, configuration, an application');
  for (const name of ['bash', 'cat', 'ls', 'rm', 'mkdir', 'mv', 'chmod', 'id']) {
    installProgram(
      execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim(),
      join(base, 'base'),
    );
  }
  shell(
    'mkdir -p base/etc base/tmp; echo "from the base layer" > base/etc/motd; echo old > base/etc/obsolete',
    base,
  );
  shell('mkdir config/etc; echo "from the configuration layer" > config/etc/motd', base);
  shell(
    'mkdir -p app/srv/app/data; echo "version 1" > app/srv/app/release; seq 1000 > app/srv/app/data/numbers',
    base,
  );
  shell('du -sh base config app', base);

  say('2. Mounted as one root file system, with "changes" on top to take every write');
  const mount = [
    program,
    'mount',
    '--lower',
    'app',
    '--lower',
    'config',
    '--lower',
    'base',
    '--upper',
    'changes',
    '--work',
    'work',
    'root',
  ];
  process.stdout.write(`$ tsoverlay ${mount.slice(1).join(' ')}\n`);
  execFileSync(mount[0], mount.slice(1), { cwd: base, stdio: 'inherit' });

  say('3. A shell lives in it and changes things');
  const script = join(base, 'inside.sh');
  writeFileSync(
    script,
    [
      'cat /etc/motd',
      'echo "version 2" > /srv/app/release',
      'rm /etc/obsolete',
      'mv /srv/app/data /srv/app/archive',
      'mkdir /var; echo "hello" > /var/log.txt',
      'ls -l /srv/app /etc /var',
    ].join('\n'),
  );
  shell(
    `chroot root ${execFileSync('sh', ['-c', 'command -v bash'], { encoding: 'utf8' }).trim()} -xe < inside.sh`,
    base,
  );

  say('4. Where each file comes from');
  shell(
    `${program} explain root/etc/motd root/srv/app/release root/etc/obsolete root/srv/app/archive/numbers`,
    base,
  );

  say('5. What has changed');
  shell(`${program} diff root`, base);

  say('6. What copy-on-write left in the upper: only that');
  shell('cd changes; find . -mindepth 1 | sort | xargs ls -ld', base);

  say('7. The mount, then unmounted');
  shell(`${program} mounts`, base);
  execFileSync(program, ['unmount', target], { stdio: 'inherit' });
  shell('cat app/srv/app/release base/etc/obsolete', base);
  process.stdout.write('The layers are what they were.\n');
} finally {
  spawnSync(program, ['unmount', '--detach', target], { stdio: 'ignore' });
  rmSync(base, { recursive: true, force: true });
}
