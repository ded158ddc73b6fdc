// SPDX-License-Identifier: MIT
/**
 * What any file system must do, as functions of a directory: run on a plain
 * directory as control, and on mounts through each driver. A ground says by name
 * what it cannot express; such a check is listed as skipped with the reason.
 *
 * The directory holds, in a lower layer where there is one: `low` (file, "lower\n"),
 * `lowdir/inner` (file), `lowlink` -> low, `hard1` and `hard2` (one file).
 */
import fs from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { errnoName } from '../../lib/base/errno.js';
import * as entries from '../../lib/sys/entries.js';
import * as files from '../../lib/sys/files.js';
import { Stat, statAt } from '../../lib/sys/stat.js';
import * as xattrs from '../../lib/sys/xattrs.js';
import { run, shell } from './ground.js';

export type Capability =
  | 'rename-flags'
  | 'nanoseconds'
  | 'separate-times'
  | 'any-bytes'
  | 'creator-owns'
  | 'unnamed-files'
  | 'fallocate'
  | 'seek-holes'
  | 'inode-numbers'
  | 'acl'
  | 'hard-link-cache'
  | 'unlinked-link-count';

type Check = (t: Test, directory: string) => void | Promise<void>;

interface Claim {
  needs?: Capability;
  check: Check;
}

function withDirectory<Result>(directory: string, use: (fd: number) => Result): Result {
  const fd = files.openPath(directory, files.O_PATH | files.O_DIRECTORY);
  try {
    return use(fd);
  } finally {
    files.close(fd);
  }
}

const named = (status: number): string => (status < 0 ? errnoName(status) : 'ok');

export const SEED =
  'echo lower > low; mkdir lowdir; echo inner > lowdir/inner; ln -s low lowlink; echo h > hard1; ln hard1 hard2';

export const claims: Record<string, Claim> = {
  'a file is created, written, read back and stays': {
    check: (t, d) => {
      fs.writeFileSync(join(d, 'f'), 'one');
      fs.appendFileSync(join(d, 'f'), 'two');
      t.equal(fs.readFileSync(join(d, 'f'), 'utf8'), 'onetwo');
      t.equal(fs.statSync(join(d, 'f')).size, 6);
    },
  },
  'a lower file is changed in place': {
    check: (t, d) => {
      fs.appendFileSync(join(d, 'low'), 'more\n');
      t.equal(fs.readFileSync(join(d, 'lowlink'), 'utf8'), 'lower\nmore\n');
      fs.truncateSync(join(d, 'low'), 3);
      t.equal(fs.readFileSync(join(d, 'low'), 'utf8'), 'low');
    },
  },
  'who opened a file for reading before its copy-up sees what is written after': {
    check: (t, d) => {
      const reader = fs.openSync(join(d, 'low'), 'r');
      t.equal(fs.readSync(reader, Buffer.alloc(3), 0, 3, 0), 3);
      fs.writeFileSync(join(d, 'low'), 'CHANGED');
      const buffer = Buffer.alloc(7);
      fs.readSync(reader, buffer, 0, 7, 0);
      fs.closeSync(reader);
      t.equal(buffer.toString(), 'CHANGED');
    },
  },
  'an unlinked file is read and written by who has it open': {
    check: (t, d) => {
      for (const name of ['low', 'fresh']) {
        const path = join(d, name);
        if (name === 'fresh') fs.writeFileSync(path, 'fresh');
        const fd = fs.openSync(path, 'r+');
        fs.unlinkSync(path);
        t.notOk(fs.existsSync(path));
        fs.writeSync(fd, 'XY', 0);
        const buffer = Buffer.alloc(5);
        fs.readSync(fd, buffer, 0, 5, 0);
        t.equal(buffer.toString(), name === 'low' ? 'XYwer' : 'XYesh');
        fs.writeFileSync(path, 'another');
        fs.readSync(fd, buffer, 0, 5, 0);
        t.equal(buffer.toString(), name === 'low' ? 'XYwer' : 'XYesh', 'a new file of that name is another');
        fs.closeSync(fd);
      }
    },
  },
  'a file replaced by rename stays with who has it open': {
    check: (t, d) => {
      const fd = fs.openSync(join(d, 'low'), 'r+');
      fs.writeFileSync(join(d, 'new'), 'new');
      fs.renameSync(join(d, 'new'), join(d, 'low'));
      fs.writeSync(fd, '!', 0);
      const buffer = Buffer.alloc(6);
      fs.readSync(fd, buffer, 0, 6, 0);
      fs.closeSync(fd);
      t.equal(buffer.toString(), '!ower\n');
      t.equal(fs.readFileSync(join(d, 'low'), 'utf8'), 'new');
    },
  },
  'an unlinked open file has no links': {
    needs: 'unlinked-link-count',
    check: (t, d) => {
      for (const name of ['low', 'fresh']) {
        fs.appendFileSync(join(d, name), 'x');
        const fd = fs.openSync(join(d, name), 'r');
        fs.unlinkSync(join(d, name));
        t.equal(fs.fstatSync(fd).nlink, 0, name);
        fs.closeSync(fd);
      }
    },
  },
  'directories are made, listed, and removed when empty': {
    check: (t, d) => {
      fs.mkdirSync(join(d, 'a/b/c'), { recursive: true });
      fs.writeFileSync(join(d, 'a/b/f'), '');
      t.strictSame(fs.readdirSync(join(d, 'a/b')).sort(), ['c', 'f']);
      t.throws(() => fs.rmdirSync(join(d, 'a/b')), { code: 'ENOTEMPTY' });
      fs.rmSync(join(d, 'a'), { recursive: true });
      t.throws(() => fs.readdirSync(join(d, 'a')), { code: 'ENOENT' });
      fs.rmSync(join(d, 'lowdir'), { recursive: true });
      fs.mkdirSync(join(d, 'lowdir'));
      t.strictSame(fs.readdirSync(join(d, 'lowdir')), []);
    },
  },
  'a directory is renamed with everything in it': {
    check: (t, d) => {
      fs.renameSync(join(d, 'lowdir'), join(d, 'moved'));
      t.equal(fs.readFileSync(join(d, 'moved/inner'), 'utf8'), 'inner\n');
      fs.mkdirSync(join(d, 'deeper'));
      fs.renameSync(join(d, 'moved'), join(d, 'deeper/again'));
      fs.writeFileSync(join(d, 'deeper/again/inner'), 'changed');
      t.strictSame(fs.readdirSync(join(d, 'deeper/again')), ['inner']);
      t.notOk(fs.existsSync(join(d, 'lowdir')));
    },
  },
  'errors are those of a local file system': {
    check: (t, d) =>
      withDirectory(d, (fd) => {
        t.equal(named(entries.makeDirectory(fd, 'low', 0o755)), 'EEXIST');
        t.equal(named(entries.makeDirectory(fd, 'none/x', 0o755)), 'ENOENT');
        t.equal(named(entries.makeDirectory(fd, 'low/x', 0o755)), 'ENOTDIR');
        t.equal(named(entries.unlink(fd, 'lowdir')), 'EISDIR');
        t.equal(named(entries.removeDirectory(fd, 'low')), 'ENOTDIR');
        t.equal(named(entries.rename(fd, 'lowdir', fd, 'lowdir/x')), 'EINVAL');
        t.equal(named(entries.rename(fd, 'low', fd, 'lowdir')), 'EISDIR');
        t.equal(named(entries.rename(fd, 'lowdir', fd, 'low')), 'ENOTDIR');
        t.equal(named(entries.makeLink(fd, 'lowdir', fd, 'x')), 'EPERM');
        t.equal(named(entries.makeNode(fd, 'n'.repeat(256), 0o100644, 0)), 'ENAMETOOLONG');
        t.equal(named(entries.makeNode(fd, 'n'.repeat(255), 0o100644, 0)), 'ok');
        t.equal(named(statAt(fd, 'low/', new Stat())), 'ENOTDIR');
      }),
  },
  'rename with flags keeps or exchanges': {
    needs: 'rename-flags',
    check: (t, d) =>
      withDirectory(d, (fd) => {
        t.equal(named(entries.rename(fd, 'low', fd, 'hard1', entries.RENAME_NOREPLACE)), 'EEXIST');
        t.equal(named(entries.rename(fd, 'low', fd, 'lowdir', entries.RENAME_EXCHANGE)), 'ok');
        t.equal(fs.readFileSync(join(d, 'low/inner'), 'utf8'), 'inner\n');
        t.equal(fs.readFileSync(join(d, 'lowdir'), 'utf8'), 'lower\n');
        t.equal(named(entries.rename(fd, 'low', fd, 'none', entries.RENAME_EXCHANGE)), 'ENOENT');
        t.equal(named(entries.rename(fd, 'low', fd, 'free', entries.RENAME_NOREPLACE)), 'ok');
      }),
  },
  'hard links are one file': {
    needs: 'hard-link-cache',
    check: (t, d) => {
      fs.writeFileSync(join(d, 'f'), '1');
      fs.linkSync(join(d, 'f'), join(d, 'g'));
      fs.appendFileSync(join(d, 'g'), '2');
      t.equal(fs.readFileSync(join(d, 'f'), 'utf8'), '12');
      t.equal(fs.statSync(join(d, 'f')).nlink, 2);
      fs.unlinkSync(join(d, 'f'));
      t.equal(fs.statSync(join(d, 'g')).nlink, 1);
      t.equal(fs.statSync(join(d, 'hard1')).nlink, 2);
    },
  },
  'symlinks, fifos, sockets and devices are made and kept': {
    check: (t, d) =>
      withDirectory(d, (fd) => {
        fs.symlinkSync('no/where', join(d, 'sym'));
        t.equal(fs.readlinkSync(join(d, 'sym')), 'no/where');
        const stat = new Stat();
        for (const [name, mode, device] of [
          ['pipe', 0o010640, 0],
          ['null', 0o020666, 0x103],
          ['block', 0o060600, 0x70c + 2 ** 20],
        ] as const) {
          t.equal(named(entries.makeNode(fd, name, mode, device)), 'ok', name);
          t.equal(named(statAt(fd, name, stat)), 'ok');
          t.equal(stat.mode & 0o170000, mode & 0o170000);
        }
        t.equal(run('head', '-c', '1', join(d, 'null')), '');
        t.equal(stat.deviceMajor, 7);
        t.equal(stat.deviceMinor, 12 + 256);
      }),
  },
  'mode and owner are changed and survive': {
    check: (t, d) => {
      fs.chmodSync(join(d, 'low'), 0o4711);
      t.equal(fs.statSync(join(d, 'low')).mode & 0o7777, 0o4711);
      fs.chownSync(join(d, 'low'), 11, 12);
      const { uid, gid, mode } = fs.statSync(join(d, 'low'));
      t.strictSame([uid, gid, mode & 0o7777], [11, 12, 0o711], 'a change of owner takes setuid away');
      fs.lchownSync(join(d, 'lowlink'), 13, 14);
      t.equal(fs.lstatSync(join(d, 'lowlink')).uid, 13);
      t.equal(fs.statSync(join(d, 'lowlink')).uid, 11);
    },
  },
  'times are set to the nanosecond': {
    needs: 'nanoseconds',
    check: (t, d) =>
      withDirectory(d, (fd) => {
        const times = {
          accessSeconds: 1,
          accessNanoseconds: 2,
          modifySeconds: 5_000_000_000,
          modifyNanoseconds: 999_999_999,
        };
        for (const name of ['low', 'lowdir', 'lowlink']) {
          t.equal(named(entries.changeTimes(fd, name, times)), 'ok');
          const stat = new Stat();
          statAt(fd, name, stat);
          t.match(stat, times, name);
        }
      }),
  },
  'times are set': {
    check: (t, d) => {
      fs.utimesSync(join(d, 'low'), 1000, 1000);
      t.equal(fs.statSync(join(d, 'low')).mtimeMs, 1_000_000);
    },
  },
  'a write changes the modification time, reading does not': {
    check: (t, d) => {
      fs.utimesSync(join(d, 'low'), 1000, 1000);
      fs.readFileSync(join(d, 'low'));
      t.equal(fs.statSync(join(d, 'low')).mtimeMs, 1_000_000);
      fs.appendFileSync(join(d, 'low'), 'x');
      t.ok(Date.now() - fs.statSync(join(d, 'low')).mtimeMs < 60_000);
    },
  },
  'attributes are set, listed, replaced and removed': {
    check: (t, d) =>
      withDirectory(d, (fd) => {
        for (const name of ['low', 'lowdir']) {
          t.equal(named(xattrs.setXattr(fd, name, 'user.a', Buffer.from('1'))), 'ok');
          t.equal(named(xattrs.setXattr(fd, name, 'trusted.b', Buffer.alloc(200, 7))), 'ok');
          t.strictSame((xattrs.listXattrs(fd, name) as string[]).sort(), ['trusted.b', 'user.a']);
          t.strictSame(xattrs.getXattr(fd, name, 'trusted.b'), Buffer.alloc(200, 7));
          t.equal(named(xattrs.removeXattr(fd, name, 'user.a')), 'ok');
          t.equal(named(xattrs.removeXattr(fd, name, 'user.a')), 'ENODATA');
        }
      }),
  },
  'an ACL decides and is kept': {
    needs: 'acl',
    check: (t, d) => {
      shell('setfacl -m u:1234:rw low; setfacl -d -m u:1234:r lowdir; touch lowdir/child', d);
      t.match(shell('getfacl -cpn low', d), /user:1234:rw-/);
      t.match(shell('getfacl -cpn lowdir/child', d), /user:1234:r--/);
    },
  },
  'names of any bytes are kept': {
    needs: 'any-bytes',
    check: (t, d) => {
      const name = Buffer.from([0xff, 0x0a, 0x01, 0x5c]);
      const path = Buffer.concat([Buffer.from(`${d}/`), name]);
      fs.writeFileSync(path, 'bytes');
      t.ok(fs.readdirSync(d, { encoding: 'buffer' }).some((found) => found.equals(name)));
      t.equal(fs.readFileSync(path, 'utf8'), 'bytes');
    },
  },
  'a new file belongs to who made it, with group and mode by the rules': {
    needs: 'creator-owns',
    check: (t, d) => {
      shell('chmod 777 .; mkdir shared; chown :500 shared; chmod 2777 shared', d);
      shell(
        `setpriv --reuid=1001 --regid=1002 --clear-groups sh -c 'umask 027; touch mine shared/file; mkdir shared/dir'`,
        d,
      );
      t.equal(
        shell(`stat -c '%a %u %g' mine shared/file shared/dir`, d),
        '640 1001 1002\n640 1001 500\n2750 1001 500\n',
      );
      t.throws(
        () => shell(`setpriv --reuid=1001 --regid=1002 --clear-groups sh -c 'echo x >> low'`, d),
        /Permission denied/,
      );
    },
  },
  'the sticky bit protects the files of others': {
    needs: 'creator-owns',
    check: (t, d) => {
      shell('mkdir tmp; chmod 1777 tmp; touch tmp/root', d);
      t.throws(
        () => shell('setpriv --reuid=1001 --regid=1001 --clear-groups rm -f tmp/root', d),
        /not permitted/,
      );
    },
  },
  'a write by another user clears setuid, and capabilities go with it': {
    needs: 'creator-owns',
    check: (t, d) => {
      shell(
        'chmod 777 .; printf x > s; chmod 6777 s; setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 s',
        d,
      );
      shell(`setpriv --reuid=1001 --regid=1001 --clear-groups sh -c 'echo y >> s'`, d);
      t.equal(shell('stat -c %a s; getfattr -d -m capability s', d), '777\n');
    },
  },
  'a file without a name is written, and linked in': {
    needs: 'unnamed-files',
    check: (t, d) => {
      const fd = files.openPath(d, files.O_TMPFILE | files.O_RDWR, 0o640);
      t.ok(fd >= 0, named(fd));
      files.writeFully(fd, Buffer.from('unnamed'), 7, 0);
      t.equal(fs.fstatSync(fd).nlink, 0);
      withDirectory(d, (dir) => {
        const linked = run('ln', '-L', `/proc/${process.pid}/fd/${fd}`, join(d, 'named'));
        t.equal(linked, '');
        const stat = new Stat();
        statAt(dir, 'named', stat);
        t.strictSame([stat.linkCount, stat.mode & 0o777], [1, 0o640]);
      });
      files.close(fd);
      t.equal(fs.readFileSync(join(d, 'named'), 'utf8'), 'unnamed');
    },
  },
  'space is allocated and holes are punched': {
    needs: 'fallocate',
    check: (t, d) => {
      shell(
        'printf 0123456789 > f; fallocate -l 8192 f; test $(stat -c %s f) = 8192; fallocate -p -o 0 -l 4096 f',
        d,
      );
      t.ok(fs.readFileSync(join(d, 'f')).every((byte) => byte === 0));
      shell('fallocate -n -l 65536 low', d);
      t.equal(fs.readFileSync(join(d, 'low'), 'utf8'), 'lower\n');
    },
  },
  'data and holes are found': {
    needs: 'seek-holes',
    check: (t, d) => {
      shell('truncate -s 1M f; printf end | dd of=f bs=1 seek=524288 conv=notrunc status=none', d);
      const fd = files.openPath(join(d, 'f'), files.O_RDONLY);
      files.syncFile(fd);
      t.equal(files.seek(fd, 0, files.SEEK_DATA), 524288);
      t.equal(files.seek(fd, 0, files.SEEK_HOLE), 0);
      t.equal(named(files.seek(fd, 1 << 20, files.SEEK_DATA)), 'ENXIO');
      files.close(fd);
    },
  },
  'a file is copied inside the kernel': {
    check: (t, d) => {
      fs.writeFileSync(join(d, 'big'), Buffer.alloc(3_000_000, 'abc'));
      fs.copyFileSync(join(d, 'big'), join(d, 'copy'));
      t.ok(fs.readFileSync(join(d, 'copy')).equals(fs.readFileSync(join(d, 'big'))));
    },
  },
  'inode numbers in a listing are those of stat, and stay through copy-up and rename': {
    needs: 'inode-numbers',
    check: (t, d) => {
      const list = (): Map<string, string> =>
        new Map(
          shell(`ls -1iaU --color=never . | awk '{print $2" "$1}'`, d)
            .trim()
            .split('\n')
            .map((line) => line.split(' ') as [string, string]),
        );
      const before = list();
      for (const name of ['low', 'lowdir', 'lowlink']) {
        t.equal(before.get(name), String(fs.lstatSync(join(d, name), { bigint: true }).ino), name);
      }
      fs.appendFileSync(join(d, 'low'), 'x');
      fs.renameSync(join(d, 'low'), join(d, 'lower'));
      fs.chmodSync(join(d, 'lowdir'), 0o700);
      const after = list();
      t.equal(after.get('lower'), before.get('low'));
      t.equal(after.get('lowdir'), before.get('lowdir'));
    },
  },
  'a large directory is listed once and whole, while names come and go': {
    check: (t, d) => {
      const big = join(d, 'big');
      fs.mkdirSync(big);
      for (let index = 0; index < 3000; index++) fs.writeFileSync(join(big, `f${index}`), '');
      const dir = fs.opendirSync(big, { bufferSize: 32 });
      const seen: string[] = [];
      for (let entry = dir.readSync(); entry !== null; entry = dir.readSync()) {
        seen.push(entry.name);
        if (seen.length === 500) {
          for (let index = 0; index < 100; index++) fs.writeFileSync(join(big, `extra${index}`), '');
          for (let index = 0; index < 100; index++) fs.unlinkSync(join(big, `extra${index}`));
        }
      }
      dir.closeSync();
      const stayed = seen.filter((name) => name.startsWith('f'));
      t.equal(stayed.length, 3000);
      t.equal(new Set(stayed).size, 3000);
    },
  },
  'the size of the file system is told': {
    check: (t, d) => {
      const { blocks, bfree, bsize } = fs.statfsSync(d);
      t.ok(blocks > 0 && bfree <= blocks && bsize > 0);
    },
  },
  'fsync of a file and of a directory works': {
    check: (t, d) => {
      const file = fs.openSync(join(d, 'low'), 'r+');
      fs.writeSync(file, 'x');
      fs.fsyncSync(file);
      fs.fdatasyncSync(file);
      fs.closeSync(file);
      shell('sync lowdir; sync -f .', d);
      t.equal(fs.readFileSync(join(d, 'low'), 'utf8'), 'xower\n');
    },
  },
  'a program is run from a lower layer and from the upper': {
    check: (t, d) => {
      fs.copyFileSync('/bin/echo', join(d, 'program'));
      t.equal(run(join(d, 'program'), 'hello'), 'hello\n');
    },
  },
};
