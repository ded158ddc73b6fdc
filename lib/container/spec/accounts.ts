// SPDX-License-Identifier: MIT
/** Users and groups of an image: USER and --user name them, the image's own files say who they are. */
import { fromText } from '../../base/bytes.js';
import { OverlayError } from '../../base/errors.js';
import { readData } from '../../overlay/data/data.js';
import { walk } from '../../overlay/names/walk.js';
import { release } from '../../overlay/nodes/references.js';
import type { Union } from '../../overlay/nodes/union.js';

export interface Account {
  uid: number;
  gid: number;
  additionalGids: number[];
  home: string;
}

/** Far more than any real one; the rest is not looked at. */
const LARGEST_FILE = 4 << 20;
const MOST_ID = 2 ** 31 - 1;

/** A file's lines, split at colons; none where there is no such file. Symlinks lead to places in the view. */
function readTable(union: Union, path: string): string[][] {
  const node = walk(union, fromText(path), true);
  if (typeof node === 'number') return [];
  const buffer = Buffer.alloc(LARGEST_FILE);
  const size = readData(union, node, buffer, LARGEST_FILE, 0);
  release(union, node);
  if (size < 0) return [];
  return buffer
    .toString('utf8', 0, size)
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(':'));
}

function parseId(text: string): number | undefined {
  return /^\d+$/.test(text) && Number(text) <= MOST_ID ? Number(text) : undefined;
}

/**
 * Who `USER[:GROUP]` is, each a name or a number; an empty text is root. A number
 * need not be in the files. Throws an OverlayError for a name that is not.
 */
export function findAccount(union: Union, text: string): Account {
  const [userText = '', groupText] = text.split(':');
  const users = readTable(union, '/etc/passwd');
  const groups = readTable(union, '/etc/group');
  const wanted = userText === '' ? '0' : userText;
  const id = parseId(wanted);
  const user = users.find(([name, , uid]) => name === wanted || (id !== undefined && Number(uid) === id));
  const uid = user === undefined ? id : parseId(user[2]);
  if (uid === undefined) throw unknown('user', wanted, '/etc/passwd');
  const gid = groupText === undefined ? (parseId(user?.[3] ?? '') ?? 0) : groupId(groups, groupText);
  // Who names a group gets that alone, as with Docker.
  const isMember = ([, , , members = '']: string[]): boolean => members.split(',').includes(user?.[0] ?? '');
  const additional = groupText === undefined && user !== undefined ? groups.filter(isMember) : [];
  const additionalGids = additional
    .map(([, , other]) => parseId(other))
    .filter((other) => other !== undefined && other !== gid);
  return { uid, gid, additionalGids: additionalGids as number[], home: user?.[5] || '/' };
}

function groupId(groups: readonly string[][], text: string): number {
  const group = groups.find(([name]) => name === text);
  const gid = group === undefined ? parseId(text) : parseId(group[2]);
  if (gid === undefined) throw unknown('group', text, '/etc/group');
  return gid;
}

function unknown(kind: string, name: string, file: string): OverlayError {
  return new OverlayError({
    operation: `find ${kind}`,
    path: name,
    reason: `${file} of the image has no such ${kind}`,
    remedy: 'give a number, or a name that the image has',
  });
}
