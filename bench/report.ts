// SPDX-License-Identifier: MIT
/** Results as a table of medians and ratios, and as a chart. */
import { bytes, table } from '../lib/cli/words/format.js';
import { WITHOUT_SHIM } from './grounds.js';

export interface Row {
  name: string;
  warmRead: boolean;
  /** Milliseconds, by ground. */
  times: Record<string, number[]>;
  requestsPerFile: number[];
  microsecondsPerRequest: number[];
}

export interface Results {
  machine: Record<string, string | number>;
  tree: { path: string; entries: number };
  rounds: number;
  rows: Row[];
  /** Bytes, by ground. */
  memory: Record<string, { idle: number; full: number }>;
  entries: number;
  idleMilliseconds: number;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function time(row: Row, ground: string): number {
  return median(row.times[ground] ?? [Number.NaN]);
}

const shown = (value: number, digits = 1): string => (Number.isFinite(value) ? value.toFixed(digits) : '-');

/** How many times as fast as fuse-overlayfs, how many times as slow as the kernel, and as without a shim. */
export function ratios(row: Row): { faster: number; slower: number; kept: number } {
  const own = time(row, 'tsoverlay');
  return {
    faster: time(row, 'fuse-overlayfs') / own,
    slower: own / time(row, 'overlayfs'),
    kept: own / time(row, WITHOUT_SHIM),
  };
}

export function printTable(results: Results): string {
  const { machine, tree } = results;
  const head = [
    '',
    'plain',
    'overlayfs',
    'fuse-overlayfs',
    'tsoverlay',
    'x fuse-overlayfs',
    '/ overlayfs',
    '/ no shim',
    'requests/file',
    'us/request',
  ];
  const lines = results.rows.map((row) => {
    const { faster, slower, kept } = ratios(row);
    return [
      row.name,
      ...['plain', 'overlayfs', 'fuse-overlayfs', 'tsoverlay'].map((ground) => shown(time(row, ground))),
      shown(faster, 2),
      shown(slower, 2),
      shown(kept, 2),
      row.requestsPerFile.length > 0 ? shown(median(row.requestsPerFile), 2) : '',
      row.microsecondsPerRequest.length > 0 ? shown(median(row.microsecondsPerRequest)) : '',
    ];
  });
  const memory = Object.entries(results.memory).map(
    ([name, { idle, full }]) =>
      `${name}: ${bytes(idle)} when mounted, ${bytes(full)} with ${results.entries} entries cached\n`,
  );
  return [
    `${machine.processor}, ${machine.cores} cores, ${machine.memoryGiB} GiB; Linux ${machine.kernel}, Node ${machine.node}, fuse-overlayfs ${machine.fuseOverlayfs}\n`,
    `${tree.path}, ${tree.entries} entries, on tmpfs; medians of ${results.rounds} rounds, in ms\n\n`,
    table([head, ...lines]),
    '\nResident memory\n',
    ...memory,
    `An idle mount took ${results.idleMilliseconds} ms of CPU in 3 s.\n`,
  ].join('');
}

/** The table of the README: milliseconds and the three ratios. */
export function markdown(results: Results): string {
  const { machine, tree } = results;
  const whole = (value: number): string => (Number.isFinite(value) ? value.toFixed(value < 10 ? 1 : 0) : '-');
  const lines = results.rows.map((row) => {
    const { faster, slower, kept } = ratios(row);
    const times = ['plain', 'overlayfs', 'fuse-overlayfs', 'tsoverlay'].map((ground) =>
      whole(time(row, ground)),
    );
    return `| ${[row.name, ...times, shown(faster, 2), shown(slower, 2), shown(kept, 2)].join(' | ')} |`;
  });
  return [
    `Medians of ${results.rounds} rounds in ms, ${tree.path} (${tree.entries} entries) on tmpfs; ${machine.processor}, ${machine.cores} cores,`,
    `Linux ${machine.kernel}, Node ${machine.node}, fuse-overlayfs ${machine.fuseOverlayfs}. The last three columns: how many times as fast as`,
    'fuse-overlayfs, the time relative to kernel overlayfs, and relative to a mount that nothing keeps alive (`-f`).',
    '',
    '| | plain | overlayfs | fuse-overlayfs | tsoverlay | x fuse-overlayfs | / overlayfs | / no shim |',
    '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ...lines,
    '',
  ].join('\n');
}

const BAR = 14;
const LEFT = 220;
const WIDTH = 860;
const SCALE = 400;

/** Bars of tsoverlay's and fuse-overlayfs's time relative to kernel overlayfs, logarithmic. */
export function chart(results: Results): string {
  const rows = results.rows.filter((row) => Number.isFinite(ratios(row).slower));
  const widest = Math.max(
    ...rows.flatMap((row) => [ratios(row).slower, ratios(row).slower * ratios(row).faster]),
  );
  const width = (value: number): number =>
    Math.max(1, (Math.log2(Math.max(value, 0.25)) + 2) * (SCALE / (Math.log2(widest) + 2)));
  const one = LEFT + width(1);
  const bars = rows.map((row, index) => {
    const y = 56 + index * (2 * BAR + 12);
    const { faster, slower } = ratios(row);
    const bar = (offset: number, value: number, colour: string): string =>
      `<rect x="${LEFT}" y="${y + offset}" width="${width(value).toFixed(1)}" height="${BAR}" fill="${colour}"/>` +
      `<text x="${(LEFT + width(value) + 6).toFixed(1)}" y="${y + offset + 11}">${value.toFixed(2)}</text>`;
    return (
      `<text x="${LEFT - 8}" y="${y + BAR + 4}" text-anchor="end">${escapeXml(row.name)}</text>` +
      bar(0, slower, '#2f7d6b') +
      bar(BAR, slower * faster, '#b9bec6')
    );
  });
  const height = 64 + rows.length * (2 * BAR + 12);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="12" fill="#222">
<rect width="100%" height="100%" fill="#fff"/>
<text x="12" y="22" font-size="15">Time relative to kernel overlayfs (1 is the kernel; shorter is faster; logarithmic)</text>
<rect x="12" y="32" width="12" height="12" fill="#2f7d6b"/><text x="30" y="42">tsoverlay</text>
<rect x="110" y="32" width="12" height="12" fill="#b9bec6"/><text x="128" y="42">fuse-overlayfs ${results.machine.fuseOverlayfs}</text>
<line x1="${one}" y1="50" x2="${one}" y2="${height - 8}" stroke="#888" stroke-dasharray="3 3"/>
${bars.join('\n')}
</svg>
`;
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
