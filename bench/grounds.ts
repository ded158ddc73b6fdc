// SPDX-License-Identifier: MIT
/** The file systems that are compared: each mounts the same layers and is asked the same. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { MountFigures } from '../lib/mount/config.js';
import { askServer } from '../lib/mount/control.js';

export interface Layers {
  lowers: string[];
  upper: string;
  work: string;
  target: string;
}

export interface Ground {
  name: string;
  mount(layers: Layers): void;
  unmount(layers: Layers): void;
  /** The serving process, where there is one. */
  serverPid(layers: Layers): number | undefined;
  figures?(layers: Layers): Promise<MountFigures>;
}

export const WITHOUT_SHIM = 'tsoverlay mount -f';

const program = resolve('bin/tsoverlay');

function run(command: string, args: string[]): string {
  const result = spawnSync(command, args, { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${result.stderr}`);
  return result.stdout;
}

function overlayOptions({ lowers, upper, work }: Layers): string {
  return `lowerdir=${lowers.join(':')},upperdir=${upper},workdir=${work}`;
}

/** The server by its mount: mount.fuse programs keep their arguments. */
function findServer(layers: Layers): number | undefined {
  const found = spawnSync('pgrep', ['-f', `fuse-overlayfs.*${layers.target}$`], { encoding: 'utf8' });
  return found.status === 0 ? Number(found.stdout.split('\n')[0]) : undefined;
}

function ownServer({ target }: Layers): number {
  const mounts = JSON.parse(run(program, ['mounts', '--json'])) as { target: string; serverPid: number }[];
  return mounts.find((mount) => mount.target === target)!.serverPid;
}

export const grounds: readonly Ground[] = [
  {
    name: 'plain',
    // The layers merged by copying, top last, so that it wins.
    mount: ({ lowers, target }) => {
      for (const lower of [...lowers].reverse()) execFileSync('cp', ['-a', `${lower}/.`, target]);
    },
    unmount: ({ target }) => {
      rmSync(target, { recursive: true, force: true });
      mkdirSync(target);
    },
    serverPid: () => undefined,
  },
  {
    name: 'overlayfs',
    mount: (layers) =>
      void run('mount', [
        '-t',
        'overlay',
        'overlay',
        '-o',
        `${overlayOptions(layers)},redirect_dir=on`,
        layers.target,
      ]),
    unmount: ({ target }) => void run('umount', [target]),
    serverPid: () => undefined,
  },
  {
    name: 'fuse-overlayfs',
    mount: (layers) => void run('fuse-overlayfs', ['-o', overlayOptions(layers), layers.target]),
    unmount: ({ target }) => void run('umount', [target]),
    serverPid: findServer,
  },
  {
    name: 'tsoverlay',
    mount: (layers) => void run(program, ['mount', '-o', overlayOptions(layers), layers.target]),
    unmount: ({ target }) => void run(program, ['unmount', target]),
    serverPid: ownServer,
    figures: (layers) => askServer(ownServer(layers), { command: 'figures' }),
  },
  {
    // In the foreground there is no shim, and nothing is written down for the next server.
    name: WITHOUT_SHIM,
    mount: (layers) =>
      void run('sh', [
        '-c',
        '"$0" mount -f -o "$1" "$2" > /dev/null 2>&1 & until mountpoint -q "$2"; do sleep 0.01; done',
        program,
        overlayOptions(layers),
        layers.target,
      ]),
    unmount: ({ target }) => void run(program, ['unmount', target]),
    serverPid: ownServer,
  },
];

/** Resident memory of a process in bytes. */
export function residentMemory(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
  return Number(line?.[1] ?? Number.NaN) * 1024;
}

export function freshLayers(base: string, lowers: string[]): Layers {
  const layers = {
    lowers,
    upper: join(base, 'upper'),
    work: join(base, 'work'),
    target: join(base, 'merged'),
  };
  for (const path of [layers.upper, layers.work, layers.target]) {
    rmSync(path, { recursive: true, force: true });
    mkdirSync(path);
  }
  return layers;
}
