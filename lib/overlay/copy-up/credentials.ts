// SPDX-License-Identifier: MIT
/**
 * New files belong to who asked for them. The file system gives them owner and
 * group when they are made, if the making thread carries the user's file ids, and
 * then a kill cannot leave a file with the wrong owner. Where the thread may not
 * do that without losing its capabilities, the owner is changed afterwards.
 */
import type { ByteString } from '../../base/bytes.js';
import type { Errno } from '../../base/errno.js';
import { changeOwner } from '../../sys/entries.js';
import { fileUserIs, keepCapabilities, setFileUser, setUmask } from '../../sys/thread.js';
import type { IdMapping } from '../layers/id-mapping.js';

/** Who makes a file. */
export interface Creator {
  uid: number;
  gid: number;
  /** The umask to apply; undefined leaves the process's own in force. */
  umask: number | undefined;
}

const own: Creator = { uid: process.geteuid!(), gid: process.getegid!(), umask: undefined };

/** The process itself as creator. */
export function ownCreator(): Creator {
  return own;
}

type Power = 'unknown' | 'switches' | 'changes owner';

let power: Power = 'unknown';
let currentUmask = -1;

/** Runs `make` with the creator's ids as they are on disk, so that what it makes in `dir` under `name` is the creator's. */
export function createAs(
  ids: IdMapping | null,
  creator: Creator,
  dir: number,
  name: ByteString,
  make: () => Errno,
): Errno {
  if (creator.umask !== undefined && creator.umask !== currentUmask) {
    setUmask(creator.umask);
    currentUmask = creator.umask;
  }
  const uid = ids === null ? creator.uid : ids.users.store(creator.uid);
  const gid = ids === null ? creator.gid : ids.groups.store(creator.gid);
  if (uid === own.uid && gid === own.gid) return make();
  if (power === 'unknown') power = findPower(uid, gid);
  if (power === 'changes owner') {
    const status = make();
    return status < 0 ? status : changeOwner(dir, name, uid, gid);
  }
  setFileUser(uid, gid);
  const status = make();
  setFileUser(own.uid, own.gid);
  return status;
}

function findPower(uid: number, gid: number): Power {
  if (keepCapabilities() < 0) return 'changes owner';
  setFileUser(uid, gid);
  const works = fileUserIs(uid, gid);
  setFileUser(own.uid, own.gid);
  return works ? 'switches' : 'changes owner';
}
