// SPDX-License-Identifier: MIT
/** Options of a mount in the runtime-spec's form (config.md, "Linux mount options") as mount(2) takes them. */
import {
  MS_BIND,
  MS_NOATIME,
  MS_NODEV,
  MS_NODIRATIME,
  MS_NOEXEC,
  MS_NOSUID,
  MS_PRIVATE,
  MS_RDONLY,
  MS_RECURSIVE,
  MS_RELATIME,
  MS_SHARED,
  MS_SLAVE,
  MS_STRICTATIME,
  MS_SYNCHRONOUS,
  MS_UNBINDABLE,
} from '../../sys/mounts.js';

const SET: Record<string, number> = {
  ro: MS_RDONLY,
  nosuid: MS_NOSUID,
  nodev: MS_NODEV,
  noexec: MS_NOEXEC,
  sync: MS_SYNCHRONOUS,
  noatime: MS_NOATIME,
  nodiratime: MS_NODIRATIME,
  relatime: MS_RELATIME,
  strictatime: MS_STRICTATIME,
  bind: MS_BIND,
  rbind: MS_BIND | MS_RECURSIVE,
};

const CLEAR: Record<string, number> = {
  rw: MS_RDONLY,
  suid: MS_NOSUID,
  dev: MS_NODEV,
  exec: MS_NOEXEC,
  async: MS_SYNCHRONOUS,
  atime: MS_NOATIME,
  diratime: MS_NODIRATIME,
  norelatime: MS_RELATIME,
  nostrictatime: MS_STRICTATIME,
  defaults: 0,
};

const PROPAGATION: Record<string, number> = {
  private: MS_PRIVATE,
  rprivate: MS_PRIVATE | MS_RECURSIVE,
  slave: MS_SLAVE,
  rslave: MS_SLAVE | MS_RECURSIVE,
  shared: MS_SHARED,
  rshared: MS_SHARED | MS_RECURSIVE,
  unbindable: MS_UNBINDABLE,
  runbindable: MS_UNBINDABLE | MS_RECURSIVE,
};

export interface MountFlags {
  flags: number;
  bind: boolean;
  /** Each is a change of its own, made after the mount. */
  propagation: number[];
  /** What is the file system's own affair, joined by commas. */
  data: string;
}

export function parseMountOptions(options: readonly string[]): MountFlags {
  let flags = 0;
  const propagation: number[] = [];
  const data: string[] = [];
  for (const option of options) {
    if (Object.hasOwn(SET, option)) flags |= SET[option];
    else if (Object.hasOwn(CLEAR, option)) flags &= ~CLEAR[option];
    else if (Object.hasOwn(PROPAGATION, option)) propagation.push(PROPAGATION[option]);
    else data.push(option);
  }
  return { flags, bind: (flags & MS_BIND) !== 0, propagation, data: data.join(',') };
}
