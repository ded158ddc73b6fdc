// SPDX-License-Identifier: MIT
/**
 * Programs at work while the server is killed again and again: none of them sees an error,
 * and what each of them checks of its own work is right. Each works in rounds until the
 * kills are made, all at the same time on one mount.
 *
 * KILLS sets how often, KILLS_SEED repeats the moments.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { makeLayers, mountOurs, scratch, shell } from '../support/ground.js';
import { LONGEST_GAP_MS, startKiller } from '../support/killer.js';

const kills = Number(process.env.KILLS ?? 30);
const seed = Number(process.env.KILLS_SEED ?? Date.now() % 2 ** 31);

/** A package that dpkg can install anywhere, in two versions. */
const PACKAGES = `
for version in 1 2; do
  mkdir -p deb$version/DEBIAN deb$version/usr/share/many
  printf 'Package: many\\nVersion: %s\\nArchitecture: all\\nMaintainer: nobody <n@example.org>\\nDescription: many files\\n' $version > deb$version/DEBIAN/control
  for i in $(seq 150); do echo "$version $i" > deb$version/usr/share/many/f$((i * version)); done
  (cd deb$version; md5sum usr/share/many/* > DEBIAN/md5sums)
  dpkg-deb --build deb$version many$version.deb > /dev/null
done`;

/** Each is run in a directory of its own; TOP is where the sources lie, outside of the mount. */
const LOADS: Record<string, string> = {
  tar: `
    tar cf - -C $TOP tree | tar xf -
    diff -r --no-dereference $TOP/tree tree
    tar cf - tree | tar tf - | sed 's,/$,,' | sort > list; (cd $TOP; find tree | sort) > want; diff list want
    rm -r tree list want; [ -z "$(ls -A)" ]`,
  git: `
    rm -rf repo; git init -q repo; cd repo
    for i in 1 2 3 4 5 6; do cp -r $TOP/tree t$i; git add .; git -c user.name=n -c user.email=e commit -qm $i; git mv t$i s$i; git rm -rq --cached s$i/d1; done
    git gc -q; git fsck --strict --no-progress; [ "$(git rev-list --count HEAD)" = 6 ]; cd ..`,
  sqlite: `
    rm -f base base-*
    sqlite3 base 'PRAGMA journal_mode=WAL; CREATE TABLE t(i INTEGER PRIMARY KEY, x);' > /dev/null
    for i in $(seq 40); do sqlite3 base "BEGIN; INSERT INTO t(x) VALUES(randomblob(900)); INSERT INTO t(x) VALUES($i); UPDATE t SET x = x || 'u' WHERE i % 7 = 0; COMMIT;"; done
    [ "$(sqlite3 base 'PRAGMA integrity_check; SELECT count(*) FROM t;' | xargs)" = 'ok 80' ]`,
  dpkg: `
    rm -rf root; mkdir -p root/var/lib/dpkg/updates root/var/lib/dpkg/info root/var/lib/dpkg/triggers; touch root/var/lib/dpkg/status root/var/lib/dpkg/available
    for deb in many1 many2 many1; do
      dpkg --root=root --force-all --log=/dev/null -i $TOP/$deb.deb > out 2>&1 || { cat out; exit 1; }
      [ -z "$(dpkg --root=root --verify many)" ]
    done
    [ "$(ls root/usr/share/many | wc -l)" = 150 ]
    dpkg --root=root --force-all --log=/dev/null -P many > out 2>&1 || { cat out; exit 1; }
    [ ! -e root/usr/share/many ]`,
  mmap: `
    python3 - <<'END'
import mmap, os
size = 1 << 20
fd = os.open('mapped', os.O_RDWR | os.O_CREAT)
os.ftruncate(fd, size)
memory = mmap.mmap(fd, size)
for turn in range(20):
    for at in range(0, size, 4096):
        memory[at:at + 16] = b'%08d%08d' % (turn, at)
    memory.flush()
    for at in range(0, size, 65536):
        assert os.pread(fd, 16, at) == b'%08d%08d' % (turn, at), (turn, at)
    if turn == 10:
        os.rename('mapped', 'moved')
        os.unlink('moved')
        open('mapped', 'w').write('another')
END
    [ "$(cat mapped)" = another ]; rm mapped`,
  'stress-ng': `
    stress-ng --temp-path . --timeout 4s --verify --quiet --dentry 1 --dentry-ops 2000 --filename 1 --filename-opts posix --filename-ops 300 --hdd 1 --hdd-bytes 2m --hdd-ops 40 --rename 1 --rename-ops 2000 --link 1 --link-ops 40 --symlink 1 --symlink-ops 40 --chmod 1 --chmod-ops 200 --dir 1 --dir-ops 1000 --readahead 0 --getdent 1 --getdent-ops 50 --xattr 1 --xattr-ops 30 --seek 1 --seek-ops 300 --utime 1 --utime-ops 300
    [ -z "$(ls -A)" ]`,
};

interface Outcome {
  rounds: number;
  error: string;
}

/** Works in rounds until the file `stop` is there. */
function work(directory: string, top: string, script: string): Promise<Outcome> {
  mkdirSync(directory);
  const rounds = `rounds=0; while [ ! -e $TOP/stop ]; do ( ${script}
    ); rounds=$((rounds + 1)); done; echo "rounds $rounds"`;
  const child = spawn('bash', ['-euo', 'pipefail', '-c', rounds], {
    cwd: directory,
    env: { ...process.env, TOP: top, HOME: top },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      said += chunk;
    });
  }
  return new Promise((resolve) => {
    child.on('close', (code) => {
      const error = code === 0 ? '' : `exit ${code}: ${said}`;
      resolve({ rounds: Number(/rounds (\d+)/.exec(said)?.[1] ?? 0), error });
    });
  });
}

t.test('programs at work do not notice that the server is killed', async (t) => {
  t.comment(`seed ${seed}`);
  const base = scratch(t);
  const layers = makeLayers(base, 1);
  const top = join(base, 'top');
  mkdirSync(top);
  shell(
    `mkdir tree; cd tree; for d in 1 2 3 4; do mkdir -p d$d/e; for f in $(seq 40); do head -c $((f * 97)) /dev/urandom > d$d/e/f$f; done; ln -s ../d$d d$d/l; ln d$d/e/f1 d$d/h; done; cd ..; ${PACKAGES}`,
    top,
  );
  const live = await mountOurs(t, layers);
  const killer = startKiller(live.target, kills, 60, seed);
  const works = Object.entries(LOADS).map(
    async ([name, script]) => [name, await work(join(live.target, name), top, script)] as const,
  );
  const { kills: killed, longestGap } = await killer.done;
  writeFileSync(join(top, 'stop'), '');
  for (const [name, { rounds, error }] of await Promise.all(works)) {
    t.equal(error, '', `${name} saw no error in ${rounds} rounds`);
  }
  t.equal(killed, kills);
  t.ok(longestGap < LONGEST_GAP_MS, `a new server was there after ${longestGap.toFixed(0)} ms at most`);
  await live.unmount();
});
