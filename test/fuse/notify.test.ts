// SPDX-License-Identifier: MIT
/** Notifications as bytes: what would go to the device goes to a file. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { EBADF } from '../../lib/base/errno.js';
import * as notify from '../../lib/fuse/notify.js';
import * as files from '../../lib/sys/files.js';
import { scratch } from '../support/ground.js';

t.test('each notification is one message with unique 0 and its code', async (t) => {
  const base = scratch(t);
  const written = (send: (fd: number) => number): Buffer => {
    const path = join(base, 'device');
    const fd = files.openPath(path, files.O_RDWR | files.O_CREAT, 0o600);
    t.equal(send(fd), 0);
    const bytes = readFileSync(path);
    files.truncate(fd, 0);
    files.close(fd);
    t.equal(bytes.readUInt32LE(0), bytes.length, 'the length is its own');
    t.equal(bytes.readBigUInt64LE(8), 0n, 'it answers no request');
    return bytes;
  };
  const inode = written((fd) => notify.invalidateNode(fd, 5, -1, 0));
  t.strictSame([inode.readInt32LE(4), inode.readBigUInt64LE(16), inode.readBigInt64LE(24)], [2, 5n, -1n]);
  const resend = written((fd) => notify.resendPending(fd));
  t.strictSame([resend.readInt32LE(4), resend.length], [7, 16]);
});

t.test('a failure to send is answered', async (t) => {
  t.equal(notify.invalidateNode(-1, 5, 0, 0), -EBADF);
});
