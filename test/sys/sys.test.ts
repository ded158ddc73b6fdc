// SPDX-License-Identifier: MIT
/** System calls against the real kernel, on a tmpfs. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ELOOP, ENAMETOOLONG, ENODATA, ENOENT, ENXIO, EXDEV } from '../../lib/base/errno.js';
import * as entries from '../../lib/sys/entries.js';
import * as files from '../../lib/sys/files.js';
import { handleOf, openHandle, openReadable } from '../../lib/sys/handles.js';
import { listMounts, statFileSystem } from '../../lib/sys/mounts.js';
import { Stat, statAt, statFd } from '../../lib/sys/stat.js';
import { cloneTree } from '../../lib/sys/trees.js';
import * as xattrs from '../../lib/sys/xattrs.js';
import { scratch } from '../support/ground.js';

function open(path: string): number {
  const fd = files.openPath(path, files.O_PATH | files.O_DIRECTORY);
  t.teardown(() => files.close(fd));
  return fd;
}

t.test('a name that is not UTF-8 survives every call byte for byte', async (t) => {
  const dir = open(scratch(t));
  const name = '\xff\xfe\x01\n"\\';
  t.equal(entries.makeNode(dir, name, 0o100644, 0), 0);
  t.equal(statAt(dir, name, new Stat()), 0);
  t.equal(entries.rename(dir, name, dir, `${name}2`), 0);
  t.equal(entries.makeSymlink(dir, 'link', name), 0);
  t.equal(entries.readLink(dir, 'link'), name);
  const names: string[] = [];
  const fd = openReadable(dir);
  t.equal(
    entries.listDirectory(fd, (found) => names.push(found) > 0),
    0,
  );
  files.close(fd);
  t.strictSame(names.sort(), ['link', `${name}2`]);
});

t.test('a path of several components neither leaves its directory nor passes a symlink', async (t) => {
  const base = scratch(t);
  mkdirSync(join(base, 'in/deep'), { recursive: true });
  mkdirSync(join(base, 'out'));
  symlinkSync('../out', join(base, 'in/escape'));
  const dir = open(join(base, 'in'));
  const inside = files.openBeneath(dir, 'deep', files.O_PATH);
  t.ok(inside >= 0);
  files.close(inside);
  t.equal(files.openBeneath(dir, '../out', files.O_PATH), -EXDEV);
  t.equal(files.openBeneath(dir, '/etc', files.O_PATH), -EXDEV);
  t.equal(files.openBeneath(dir, 'escape/x', files.O_PATH), -ELOOP);
  t.equal(files.openAt(dir, 'escape', files.O_RDONLY), -ELOOP);
});

t.test('names and paths that are too long are refused by the kernel, not cut', async (t) => {
  const dir = open(scratch(t));
  t.equal(entries.makeNode(dir, 'n'.repeat(255), 0o100644, 0), 0);
  t.equal(entries.makeNode(dir, 'n'.repeat(256), 0o100644, 0), -ENAMETOOLONG);
  t.equal(statAt(dir, 'a/'.repeat(5000), new Stat()), -ENAMETOOLONG);
});

t.test('times keep nanoseconds, also before 1970 and beyond 2038', async (t) => {
  const dir = open(scratch(t));
  entries.makeNode(dir, 'f', 0o100644, 0);
  const times = {
    accessSeconds: -100,
    accessNanoseconds: 999_999_999,
    modifySeconds: 5_000_000_000,
    modifyNanoseconds: 1,
  };
  t.equal(entries.changeTimes(dir, 'f', times), 0);
  const stat = new Stat();
  statAt(dir, 'f', stat);
  t.match(stat, times);
  entries.changeTimes(dir, 'f', { ...times, accessNanoseconds: entries.UTIME_OMIT, modifySeconds: 7 });
  statAt(dir, 'f', stat);
  t.equal(stat.accessSeconds, -100);
  t.equal(stat.modifySeconds, 7);
});

t.test('attributes are set, listed, read and removed, on symlinks too', async (t) => {
  const dir = open(scratch(t));
  entries.makeSymlink(dir, 'link', 'nowhere');
  t.equal(xattrs.setXattr(dir, 'link', 'trusted.a', Buffer.from([0, 255])), 0);
  t.equal(xattrs.setXattr(dir, 'link', 'trusted.empty', Buffer.alloc(0)), 0);
  t.strictSame(xattrs.getXattr(dir, 'link', 'trusted.a'), Buffer.from([0, 255]));
  t.strictSame(xattrs.getXattr(dir, 'link', 'trusted.empty'), Buffer.alloc(0));
  t.strictSame((xattrs.listXattrs(dir, 'link') as string[]).sort(), ['trusted.a', 'trusted.empty']);
  t.equal(xattrs.removeXattr(dir, 'link', 'trusted.a'), 0);
  t.equal(xattrs.getXattr(dir, 'link', 'trusted.a'), -ENODATA);
});

t.test('a mode is changed without following a symlink', async (t) => {
  const base = scratch(t);
  const dir = open(base);
  entries.makeNode(dir, 'f', 0o100600, 0);
  t.equal(entries.changeMode(dir, 'f', 0o4711), 0);
  const stat = new Stat();
  statAt(dir, 'f', stat);
  t.equal(stat.mode & 0o7777, 0o4711);
});

t.test('holes are found and ranges are copied', async (t) => {
  const base = scratch(t);
  const dir = open(base);
  const from = files.openAt(dir, 'from', files.O_RDWR | files.O_CREAT, 0o600);
  const to = files.openAt(dir, 'to', files.O_RDWR | files.O_CREAT, 0o600);
  files.truncate(from, 1 << 20);
  files.writeFully(from, Buffer.from('tail'), 4, (1 << 20) - 4);
  t.equal(files.seek(from, 0, files.SEEK_DATA), (1 << 20) - 4096);
  t.equal(files.seek(from, 1 << 20, files.SEEK_DATA), -ENXIO);
  t.equal(files.copyRange(from, (1 << 20) - 4, to, 0, 100), 4);
  const buffer = Buffer.alloc(10);
  t.equal(files.readFully(to, buffer, 10, 0), 4);
  t.equal(buffer.toString('latin1', 0, 4), 'tail');
  files.close(from);
  files.close(to);
});

t.test('a file handle leads back to its file', async (t) => {
  const dir = open(scratch(t));
  entries.makeNode(dir, 'f', 0o100644, 0);
  const handle = handleOf(dir, 'f');
  if (typeof handle === 'number') throw new Error(`no handle: ${handle}`);
  const mount = openReadable(dir);
  const fd = openHandle(mount, handle, files.O_PATH);
  const [direct, byHandle] = [new Stat(), new Stat()];
  statAt(dir, 'f', direct);
  t.equal(statFd(fd, byHandle), 0);
  t.equal(byHandle.inode, direct.inode);
  files.close(fd);
  files.close(mount);
});

t.test('a cloned tree leaves out what is mounted below and can be read-only', async (t) => {
  const base = scratch(t);
  mkdirSync(join(base, 'sub'));
  execFileSync('mount', ['-t', 'tmpfs', 'inner', join(base, 'sub')]);
  writeFileSync(join(base, 'sub/inner'), '');
  const tree = cloneTree(base, true);
  t.ok(tree >= 0);
  t.equal(statAt(tree, 'sub/inner', new Stat()), -ENOENT);
  t.equal(entries.makeNode(tree, 'f', 0o100644, 0), -30, 'EROFS');
  files.close(tree);
  execFileSync('umount', [join(base, 'sub')]);
});

t.test('mounts are listed with their odd names, and have a size', async (t) => {
  const base = scratch(t);
  const odd = join(base, 'a b\tc\\d');
  mkdirSync(odd);
  execFileSync('mount', ['-t', 'tmpfs', 'my source', odd]);
  const found = listMounts().find(({ target }) => target === odd);
  t.match(found, { type: 'tmpfs', source: 'my source' });
  const size = statFileSystem(open(odd));
  if (typeof size === 'number') throw new Error(`statfs: ${size}`);
  t.ok(size.blocks > 0 && size.freeBlocks <= size.blocks);
  t.equal(size.nameLength, 255);
  execFileSync('umount', ['-l', odd]);
});
