// SPDX-License-Identifier: MIT
/**
 * What users of other union file systems suffered from, one test a complaint; the
 * number is that of the report, where there is one.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  type Layers,
  type Live,
  makeLayers,
  mountKernelOverlay,
  mountOurs,
  run,
  scratch,
  shell,
} from '../support/ground.js';

const program = join(process.cwd(), 'bin/tsoverlay');

interface Mounted extends Layers {
  live: Live;
}

/** A mount of ours over one lower that a script has filled. */
async function mounted(t: Test, script: string): Promise<Mounted> {
  const layers = makeLayers(scratch(t), 1);
  shell(script, layers.lowers[0]);
  return { ...layers, live: await mountOurs(t, layers) };
}

/** Runs a Python program in a directory; it fails by an assertion. */
function python(cwd: string, text: string): string {
  const result = spawnSync('python3', ['-c', text], { cwd, encoding: 'utf8' });
  if (result.status !== 0) throw new Error(result.stderr);
  return result.stdout;
}

t.test(
  'a database is whole after many small writes that follow its copy-up (fuse-overlayfs 475)',
  async (t) => {
    const fill =
      "import sqlite3; db = sqlite3.connect('db'); db.execute('create table t (k integer primary key, v blob)'); db.executemany('insert into t values (?, randomblob(300))', [(i,) for i in range(4000)]); db.commit()";
    const layers = await mounted(t, `python3 -c "${fill}"`);
    for (const mode of ['delete', 'wal']) {
      python(
        layers.target,
        `import sqlite3, random
random.seed(7)
db = sqlite3.connect('db'); db.execute('pragma journal_mode=${mode}'); db.execute('pragma mmap_size=10000000')
for i in range(150):
    db.execute('update t set v = randomblob(?) where k = ?', (random.randrange(600), random.randrange(4000)))
    db.commit()
assert db.execute('pragma integrity_check').fetchone() == ('ok',)`,
      );
    }
    await layers.live.unmount();
    await mountOurs(t, layers);
    t.equal(
      python(
        layers.target,
        "import sqlite3; db = sqlite3.connect('db'); print(db.execute('pragma integrity_check').fetchone(), db.execute('select count(*) from t').fetchone())",
      ),
      "('ok',) (4000,)\n",
    );
  },
);

t.test(
  'a shared mapping of a lower file shows what is written after it (overlayfs.rst, non-standard behavior)',
  async (t) => {
    const { target } = await mounted(t, 'head -c 20000 /dev/zero > f');
    python(
      target,
      `import mmap, os
r = os.open('f', os.O_RDONLY); before = mmap.mmap(r, 20000, mmap.MAP_SHARED, mmap.PROT_READ)
private = mmap.mmap(r, 20000, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
private[0:4] = b'mine'
assert before[:4] == bytes(4)
w = os.open('f', os.O_RDWR); os.pwrite(w, b'written', 5000)
assert before[5000:5007] == b'written'
m = mmap.mmap(w, 20000); m[9000:9006] = b'mapped'; m.flush()
assert before[9000:9006] == b'mapped' and os.pread(r, 6, 9000) == b'mapped'
assert private[0:4] == b'mine' and os.pread(r, 4, 0) == bytes(4)`,
    );
    t.equal(shell('tail -c +9001 f | head -c 6', target), 'mapped');
  },
);

t.test(
  'a thousand mapped files do not exhaust the descriptors of the server (fuse-overlayfs 378)',
  async (t) => {
    const base = scratch(t);
    const layers = makeLayers(base, 1);
    shell('for i in $(seq 1000); do echo content $i > $i; done', layers.lowers[0]);
    const options = `lowerdir=${layers.lowers[0]},upperdir=${layers.upper},workdir=${layers.work}`;
    shell(`ulimit -n 200; ${program} -o ${options} ${layers.target}`);
    t.teardown(() => run('umount', '-l', layers.target));
    python(
      layers.target,
      `import mmap, os
maps = []
for i in range(1, 1001):
    fd = os.open(str(i), os.O_RDWR); maps.append(mmap.mmap(fd, 0)); os.close(fd)
for i, m in enumerate(maps, 1):
    assert m[:].decode() == f'content {i}\\n'
    m[0:1] = b'C'; m.flush()
for i in range(1, 1001):
    with open(str(i)) as f: assert f.read() == f'Content {i}\\n'`,
    );
    t.equal(shell('cat 1 1000', layers.upper), 'Content 1\nContent 1000\n');
  },
);

t.test('a directory of 10,000 files costs no gigabytes (fuse-overlayfs 360)', async (t) => {
  const { target, live } = await mounted(t, 'seq 10000 | xargs touch');
  t.equal(
    shell('ls -l | tail -n +2 | wc -l; find . -type f -newermt 1970-01-01 | wc -l', target),
    '10000\n10000\n',
  );
  const resident = Number(/^VmRSS:\s+(\d+)/m.exec(run('cat', `/proc/${live.serverPid}/status`))![1]);
  t.ok(resident < 200_000, `${resident} kB resident`);
});

t.test(
  'locks of several processes exclude each other and end with their holder (fuse-overlayfs 80, 82)',
  async (t) => {
    const { target } = await mounted(t, 'touch f');
    python(
      target,
      `import fcntl, os, sys
def taken(how):
    pid = os.fork()
    if pid == 0:
        try: how(open('f', 'r+')); os._exit(0)
        except BlockingIOError: os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
whole = lambda f: fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
ranged = lambda f: fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 5)
for how in whole, ranged:
    assert not taken(how)
    f = open('f', 'r+'); how(f)
    assert taken(how)
    f.close()
    assert not taken(how)
f = open('f')
fcntl.fcntl(f, fcntl.F_SETLEASE, fcntl.F_RDLCK)
assert fcntl.fcntl(f, fcntl.F_GETLEASE) == fcntl.F_RDLCK`,
    );
    t.equal(shell('flock f echo held', target), 'held\n');
  },
);

t.test('who watches a lower file or directory hears of every change (moby 11705)', async (t) => {
  const { target } = await mounted(t, 'mkdir d; echo low > d/f');
  t.equal(
    python(
      target,
      `import ctypes, os, struct
libc = ctypes.CDLL(None)
fd = libc.inotify_init1(os.O_NONBLOCK)
assert libc.inotify_add_watch(fd, b'd', 0xfff) > 0 and libc.inotify_add_watch(fd, b'd/f', 0x2) > 0
def heard():
    data = os.read(fd, 65536); at = 0; seen = []
    while at < len(data):
        wd, mask, _, size = struct.unpack_from('iIII', data, at)
        seen.append((wd, mask & 0xfff)); at += 16 + size
    return seen
with open('d/f', 'a') as f: f.write('more')
os.rename('d/f', 'd/g'); os.unlink('d/g'); os.mkdir('d/new')
seen = heard()
for event in (2, 2), (1, 0x40), (1, 0x80), (1, 0x200), (1, 0x100): assert event in seen, (event, seen)
print('all')`,
    ),
    'all\n',
  );
});

t.test(
  'a running program is not written to, in a lower layer either (overlayfs.rst: ETXTBSY is not enforced)',
  async (t) => {
    const { target } = await mounted(t, 'cp /bin/sleep program');
    python(
      target,
      `import errno, subprocess
p = subprocess.Popen(['./program', '60'])
try:
    open('program', 'r+b')
    raise AssertionError('it was opened')
except OSError as failure:
    assert failure.errno == errno.ETXTBSY, failure
finally:
    p.kill(); p.wait()
open('program', 'r+b').write(b'now')`,
    );
    t.equal(shell('head -c 3 program', target), 'now');
  },
);

t.test('capabilities and ACLs are set on lower files (fuse-overlayfs 352)', async (t) => {
  const { target, upper } = await mounted(t, 'cp /bin/true f; chmod 755 f');
  shell('setcap cap_net_raw+ep f; setfacl -m u:55:rx f', target);
  t.match(shell('getcap f; getfacl -cp f', target), /^f cap_net_raw=ep\n[\s\S]*user:55:r-x/);
  t.match(shell('getcap f', upper), /cap_net_raw=ep/);
});

t.test('a layer below the mount point is no trap (fuse-overlayfs 364)', async (t) => {
  const base = scratch(t);
  shell('mkdir -p t/low t/up t/work; echo x > t/low/f', base);
  const layers = {
    lowers: [join(base, 't/low')],
    upper: join(base, 't/up'),
    work: join(base, 't/work'),
    target: join(base, 't'),
  };
  const live = await mountOurs(t, layers);
  t.equal(shell('timeout 10 bash -c "cat f; echo y > g; ls"', layers.target), 'x\nf\ng\n');
  await live.unmount();
  t.equal(shell('cat t/up/g', base), 'y\n');
});

t.test('an overlay is a lower layer of another (moby 21828)', async (t) => {
  const base = scratch(t);
  const inner = makeLayers(join(base, 'inner'), 1);
  const kernel = makeLayers(join(base, 'kernel'), 1);
  shell('echo a > a; mkdir d; echo b > d/b', inner.lowers[0]);
  shell('echo k > k; mkdir d; echo c > d/c', kernel.lowers[0]);
  await mountOurs(t, inner);
  shell('echo changed >> a; rm d/b', inner.target);
  mountKernelOverlay(t, kernel, 'redirect_dir=on');
  const outer = { ...makeLayers(join(base, 'outer'), 0), lowers: [inner.target, kernel.target] };
  await mountOurs(t, outer);
  t.equal(
    shell('cat a k; ls d; mv d e; rm a; ls . e', outer.target),
    'a\nchanged\nk\nc\n.:\ne\nk\n\ne:\nc\n',
  );
});

t.test('direct and synchronous I/O work on lower and upper files', async (t) => {
  const { target } = await mounted(t, 'head -c 1048576 /dev/urandom > f; cp f same');
  t.equal(
    shell(
      'dd if=f of=g iflag=direct oflag=direct bs=64k status=none; cmp g same; dd if=g of=f oflag=direct,sync conv=notrunc bs=64k status=none; cmp f same; echo whole',
      target,
    ),
    'whole\n',
  );
});

t.test('files as large as they may be, and larger', async (t) => {
  const { target } = await mounted(t, 'touch f');
  python(
    target,
    `import errno, os
fd = os.open('f', os.O_RDWR)
os.ftruncate(fd, 1 << 42); os.pwrite(fd, b'end', (1 << 42) - 3)
assert os.fstat(fd).st_size == 1 << 42 and os.fstat(fd).st_blocks < 1000 and os.pread(fd, 3, (1 << 42) - 3) == b'end'
for size in (1 << 63) - 1,:
    try: os.ftruncate(fd, size); raise AssertionError(size)
    except OSError as failure: assert failure.errno == errno.EFBIG, failure`,
  );
  t.pass('sparse to 4 TiB, EFBIG beyond what the upper has');
});

t.test('100,000 entries are listed once each while others come and go', async (t) => {
  const { target } = await mounted(t, 'mkdir d; cd d; seq 50000 | xargs touch');
  t.equal(
    python(
      join(target, 'd'),
      `import os
for i in range(50001, 100001): os.close(os.open(str(i), os.O_CREAT | os.O_WRONLY))
seen = []
with os.scandir('.') as entries:
    for n, entry in enumerate(entries):
        seen.append(entry.name)
        if n % 50 == 0:
            os.unlink(str(2 * n + 2)) if os.path.exists(str(2 * n + 2)) else None
            os.close(os.open(f'new{n}', os.O_CREAT | os.O_WRONLY))
odd = [name for name in seen if name.isdigit() and int(name) % 2 == 1]
print(len(seen) == len(set(seen)), len(odd) == len(set(odd)) == 50000)`,
    ),
    'True True\n',
  );
});

t.test('fanotify hears of changes, and inode flags are kept and obeyed', async (t) => {
  const { target, upper } = await mounted(t, 'echo low > f; echo low > g');
  t.equal(
    python(
      target,
      `import ctypes, os, struct
libc = ctypes.CDLL(None, use_errno=True)
fd = libc.fanotify_init(0x2, os.O_RDONLY)
assert fd >= 0, os.strerror(ctypes.get_errno())
assert libc.fanotify_mark(fd, 1 | 0x10, ctypes.c_uint64(0x2 | 0x8), -100, b'.') == 0, os.strerror(ctypes.get_errno())
with open('f', 'a') as f: f.write('more')
data = os.read(fd, 4096); at = 0; seen = 0
while at < len(data):
    size, _, _, _, mask, event, _ = struct.unpack_from('IBBHQii', data, at)
    seen |= mask; at += size; os.close(event)
print(hex(seen & 0xa))`,
    ),
    '0xa\n',
  );
  shell('chattr +i g', target);
  t.match(shell('lsattr g', target), /^----i/);
  t.match(shell('lsattr g', upper), /^----i/);
  for (const change of ['echo x > g', 'rm g', 'mv g h', 'chmod 600 g', 'ln g h']) {
    t.throws(() => shell(change, target), /Operation not permitted/, change);
  }
  shell('chattr -i g; rm g', target);
});

t.test('ids are shifted without copying or changing a file (podman 16541, 25087, 26479)', async (t) => {
  const layers = makeLayers(scratch(t), 1);
  shell('mkdir d; for i in $(seq 500); do echo $i > d/$i; done; chown 1:2 d/7', layers.lowers[0]);
  const before = shell("find . -printf '%p %U %G %m %T@ %C@\\n' | sort | sha256sum", layers.lowers[0]);
  const options = `lowerdir=${layers.lowers[0]},upperdir=${layers.upper},workdir=${layers.work},uidmapping=0:100000:65536,gidmapping=0:100000:65536`;
  run(program, '-o', options, layers.target);
  t.teardown(() => run('bash', '-c', `umount ${layers.target} 2>/dev/null || true`));
  t.equal(
    shell('stat -c %u:%g d d/7; cat d/* | wc -l', layers.target),
    '100000:100000\n100001:100002\n500\n',
  );
  run('umount', layers.target);
  t.equal(shell('find . -mindepth 1', layers.upper), '');
  t.equal(shell("find . -printf '%p %U %G %m %T@ %C@\\n' | sort | sha256sum", layers.lowers[0]), before);
});

t.test('an append-only file takes what is appended and nothing else (chattr +a)', async (t) => {
  const { target, upper } = await mounted(t, 'echo one > log');
  shell('chattr +a log; echo two >> log', target);
  t.match(shell('lsattr log', upper), /^-----a/);
  const overwrite =
    "import os; fd = os.open('log', os.O_WRONLY | os.O_APPEND); os.write(fd, b'three\\n'); os.fsync(fd)";
  python(target, overwrite);
  t.equal(shell('cat log', upper), 'one\ntwo\nthree\n');
  for (const change of [
    'dd if=/dev/zero of=log bs=1 count=1 conv=notrunc',
    ': > log',
    'rm log',
    'truncate -s 2 log',
    'fallocate -z -l 2 log',
  ]) {
    t.throws(() => shell(change, target), /Operation not permitted/, change);
  }
  t.equal(shell('cat log', target), 'one\ntwo\nthree\n');
  shell('chattr -a log; echo four > log', target);
  t.equal(shell('cat log', upper), 'four\n');
});
