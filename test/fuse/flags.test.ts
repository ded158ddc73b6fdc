// SPDX-License-Identifier: MIT
/**
 * Who may set the flags of a file (chattr(1)), asked in messages made by hand: kernels before 5.13 pass them on
 * without having judged the caller.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { EINVAL, EPERM } from '../../lib/base/errno.js';
import { Opcode } from '../../lib/fuse/abi.js';
import type { Session } from '../../lib/fuse/session.js';
import { OverlayFileSystem } from '../../lib/mount/handler.js';
import { openUnion } from '../../lib/overlay/open/open.js';
import { shell } from '../support/ground.js';
import { body, exchange, request, start } from '../support/messages.js';
import { prepare } from '../support/overlay.js';

const FS_IOC_SETFLAGS = 0x40086602;
const FS_IOC_FSSETXATTR = 0x401c5820;
const FS_APPEND_FL = 0x20;
const FS_NOATIME_FL = 0x80;
const FS_XFLAG_APPEND = 0x10;
const FS_XFLAG_NOATIME = 0x40;

const OWNER = 1000;
const STRANGER = 1001;

interface Caller {
  uid: number;
  gid: number;
  pid: number;
}

/** A process that is the caller until the test's end. */
async function caller(t: Test, uid: number, ...command: string[]): Promise<Caller> {
  const child = spawn(command[0], [...command.slice(1), 'sh', '-c', 'echo ready; exec sleep infinity'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill());
  await once(child.stdout!, 'data');
  return { uid, gid: uid, pid: child.pid! };
}

const ordinary = (t: Test, uid: number): Promise<Caller> =>
  caller(t, uid, 'setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups');

/** The node of a name in the root. */
function find(session: Session, name: string): number {
  const answer = exchange(session, request({ opcode: Opcode.LOOKUP }, body({ name })))!;
  return Number(answer.body.readBigUInt64LE(0));
}

/** struct fuse_ioctl_in and what is to be set. */
function set(session: Session, node: number, by: Caller, command: number, value: Buffer): number {
  const content = body(
    { u64: 0 },
    { u32: 0 },
    { u32: command },
    { u64: 0 },
    { u32: value.length },
    { u32: 0 },
    { bytes: value },
  );
  return exchange(session, request({ opcode: Opcode.IOCTL, node, ...by }, content))!.error;
}

const setFlags = (session: Session, node: number, by: Caller, flags: number): number =>
  set(session, node, by, FS_IOC_SETFLAGS, body({ u64: flags }));

/** struct fsxattr: flags, extent size, extents, project, copy-on-write extent size, padding. */
function setExtended(session: Session, node: number, by: Caller, flags: number, project = 0): number {
  const value = body({ u32: flags }, { u64: 0 }, { u32: project }, { u64: 0 }, { u32: 0 });
  return set(session, node, by, FS_IOC_FSSETXATTR, value);
}

function serve(t: Test): { session: Session; upper: string } {
  const layers = prepare(t, [`echo low > file; mkdir dir; chown ${OWNER}:${OWNER} file dir`]);
  const union = openUnion(layers);
  t.teardown(() => union.close());
  return { session: start(new OverlayFileSystem(union)).session, upper: layers.upper };
}

t.test('a stranger is refused whatever the kernel lets through, and copies nothing up', async (t) => {
  const { session, upper } = serve(t);
  const stranger = await ordinary(t, STRANGER);
  for (const name of ['file', 'dir']) {
    const node = find(session, name);
    t.equal(setFlags(session, node, stranger, FS_NOATIME_FL), -EPERM, name);
    t.equal(setExtended(session, node, stranger, FS_XFLAG_NOATIME), -EPERM, name);
    t.equal(setFlags(session, node, stranger, 0), -EPERM, `${name}, nothing changed`);
    t.notOk(existsSync(join(upper, name)));
  }
});

t.test('the owner may set flags, but append-only and immutable need CAP_LINUX_IMMUTABLE', async (t) => {
  const { session, upper } = serve(t);
  const owner = await ordinary(t, OWNER);
  const root = await caller(t, 0, 'env');
  const incapable = await caller(t, 0, 'setpriv', '--bounding-set=-linux_immutable', '--');
  for (const name of ['file', 'dir']) {
    const node = find(session, name);
    t.equal(setFlags(session, node, owner, FS_NOATIME_FL), 0, name);
    t.match(shell(`lsattr -d ${name}`, upper), /^-------A/);
    for (const by of [owner, incapable]) {
      t.equal(setFlags(session, node, by, FS_NOATIME_FL | FS_APPEND_FL), -EPERM, `${name}, by ${by.uid}`);
      t.equal(setExtended(session, node, by, FS_XFLAG_NOATIME | FS_XFLAG_APPEND), -EPERM);
    }
    t.equal(setFlags(session, node, root, FS_APPEND_FL), 0);
    t.match(shell(`lsattr -d ${name}`, upper), /^-----a-- ?/);
    t.equal(setFlags(session, node, owner, FS_NOATIME_FL), -EPERM, `${name}, to take it away`);
    t.equal(setFlags(session, node, owner, FS_APPEND_FL), 0, `${name}, to leave it`);
    t.equal(setFlags(session, node, root, 0), 0);
  }
});

t.test('append-only and a project are refused to who is in a user namespace of their own', async (t) => {
  const { session } = serve(t);
  const inside = await caller(t, 0, 'unshare', '--user', '--map-root-user');
  const node = find(session, 'file');
  t.equal(setFlags(session, node, { ...inside, uid: OWNER }, FS_APPEND_FL), -EPERM);
  t.equal(setExtended(session, node, { ...inside, uid: OWNER }, 0, 7), -EINVAL);
  t.equal(setFlags(session, node, inside, FS_NOATIME_FL), -EPERM, 'an owner that is not in it');
});
