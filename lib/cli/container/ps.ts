// SPDX-License-Identifier: MIT
/** `tsoverlay ps` and `tsoverlay port`, as Docker's users know them. */
import { OverlayError } from '../../base/errors.js';
import { formatPort } from '../../container/network/ports.js';
import { commandLine } from '../../container/spec/runtime-spec.js';
import type { ContainerState, PortMapping } from '../../container/state/config.js';
import { findContainer, listContainers } from '../../container/state/containers.js';
import { readState } from '../../container/upkeep/recovery.js';
import { Store } from '../../image/store/store.js';
import type { Arguments } from '../commands/table.js';
import { age, decimalSize } from '../words/format.js';
import { type Column, printListing, type Row } from '../words/listing.js';
import { parseWhole } from '../words/whole-numbers.js';
import type { Listed } from './listed.js';
import { containerFilters } from './ps-filters.js';
import { treeSize } from './tree-size.js';

const COLUMNS: readonly Column[] = [
  { title: 'CONTAINER ID', field: 'ID' },
  { title: 'IMAGE', field: 'Image' },
  { title: 'COMMAND', field: 'Command' },
  { title: 'CREATED', field: 'RunningFor' },
  { title: 'STATUS', field: 'Status' },
  { title: 'PORTS', field: 'Ports' },
  { title: 'NAMES', field: 'Names' },
  { title: 'SIZE', field: 'Size' },
];

const LONGEST_COMMAND = 20;
const SHORT_ID = 12;

/** `Up 5 minutes`, `Exited (0) 3 seconds ago`. */
export function describeStatus({ status, startedAt, finishedAt, exitCode }: ContainerState): string {
  const since = (time: string): string => age(time).replace(/ ago$/, '');
  switch (status) {
    case 'running':
      return `Up ${since(startedAt)}`;
    case 'paused':
      return `Up ${since(startedAt)} (Paused)`;
    case 'exited':
      return `Exited (${exitCode}) ${age(finishedAt)}`;
    case 'created':
      return 'Created';
  }
}

function describePorts(ports: readonly PortMapping[]): string {
  return ports.map(formatPort).join(', ');
}

function rowFor({ container, config, state }: Listed, whole: boolean, size: boolean): Row {
  const command = commandLine({ ...config.options, image: config.image.config }).join(' ');
  const short = command.length > LONGEST_COMMAND ? `${command.slice(0, LONGEST_COMMAND - 1)}…` : command;
  return {
    ID: whole ? config.id : config.id.slice(0, SHORT_ID),
    Image: config.image.name,
    Command: `"${whole ? command : short}"`,
    RunningFor: age(config.created),
    CreatedAt: config.created,
    Status: describeStatus(state),
    State: state.status,
    Ports: describePorts(state.ports),
    Names: config.name,
    Labels: Object.entries(config.options.labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
    Networks: config.options.network,
    Mounts: config.options.mounts.map(({ source }) => source).join(','),
    Size: size ? decimalSize(treeSize(container.path('upper'))) : '',
  };
}

/** One that is damaged is named, and does not keep the others from being listed. */
async function listAll(store: Store): Promise<Listed[]> {
  const listed: Listed[] = [];
  for (const container of listContainers(store)) {
    try {
      const config = container.readConfig();
      if (config.isBuild !== true) listed.push({ container, config, state: await readState(container) });
    } catch (failure) {
      if (!(failure instanceof OverlayError)) throw failure;
      // It was removed meanwhile.
      if (!container.exists) continue;
      process.stderr.write(`tsoverlay: ${failure.message}\n`);
      process.exitCode = 1;
    }
  }
  return listed;
}

/** How many of the newest are wanted; undefined, as with Docker, for 0 and below. */
function lastOf({ latest, last }: Arguments<'ps'>): number | undefined {
  const count = last === undefined ? 0 : parseWhole('--last', last, 'as in -n 5');
  if (count > 0) return count;
  return latest ? 1 : undefined;
}

export async function ps(args: Arguments<'ps'>): Promise<void> {
  const store = Store.open(args.root);
  const filters = containerFilters(args.filter, store);
  const last = lastOf(args);
  const listed = await listAll(store);
  const wantsAll = args.all || last !== undefined || filters.wantsAll;
  const rows = listed
    .filter(({ state }) => wantsAll || state.status === 'running' || state.status === 'paused')
    .filter(filters.passes)
    .sort((a, b) => (a.config.created < b.config.created ? 1 : -1))
    .slice(0, last)
    .map((one) => rowFor(one, args['no-trunc'], args.size || args.format?.includes('.Size') === true));
  const columns = args.size ? COLUMNS : COLUMNS.filter(({ field }) => field !== 'Size');
  printListing(rows, columns, 'ID', args);
}

export async function port({ root, name, port: wanted }: Arguments<'port'>): Promise<void> {
  const { ports } = await readState(findContainer(Store.open(root), name));
  const place = ({ hostAddress, hostPort }: PortMapping): string => `${hostAddress || '0.0.0.0'}:${hostPort}`;
  if (wanted === undefined) {
    for (const one of ports) process.stdout.write(`${one.containerPort}/${one.protocol} -> ${place(one)}\n`);
    return;
  }
  const [number, protocol = 'tcp'] = wanted.split('/');
  const found = ports.filter((one) => String(one.containerPort) === number && one.protocol === protocol);
  if (found.length === 0) {
    throw new OverlayError({
      operation: 'find port',
      path: wanted,
      reason: `${name} publishes no such port`,
      remedy: `see \`tsoverlay port ${name}\``,
    });
  }
  for (const one of found) process.stdout.write(`${place(one)}\n`);
}
