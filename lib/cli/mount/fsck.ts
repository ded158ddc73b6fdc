// SPDX-License-Identifier: MIT
/** `tsoverlay fsck`: exit code 0 when nothing is wrong or everything was mended, 1 otherwise. */
import { realpathSync } from 'node:fs';
import { toText } from '../../base/bytes.js';
import { OverlayError, quote } from '../../base/errors.js';
import { readRecords } from '../../mount/records.js';
import { Marks } from '../../overlay/formats/marks.js';
import { checkLayer, type Finding } from '../../overlay/inspect/check.js';
import { checkWork, type Leftover } from '../../overlay/inspect/check-work.js';
import { openUnion } from '../../overlay/open/open.js';
import { hasTrustedAttributes } from '../../sys/privilege.js';
import type { Arguments } from '../commands/table.js';

/** Changing a layer under a live mount would be the damage that this is to find. */
function refuseLive(paths: readonly string[]): void {
  const given = new Set(paths.map((path) => realpathSync(path)));
  for (const record of readRecords()) {
    const used = [record.upper, record.work, ...record.lowers, ...record.dataLowers].find(
      (path) => path !== null && given.has(realpathSync(path)),
    );
    if (used === undefined) continue;
    throw new OverlayError({
      operation: 'repair',
      path: used ?? undefined,
      reason: `the mount at ${record.target} uses it`,
      remedy: `unmount that first with \`tsoverlay unmount ${record.target}\``,
    });
  }
}

function checkStack({ layers, repair, userxattr }: Arguments<'fsck'>): Finding[] {
  const inUser = userxattr ?? !hasTrustedAttributes();
  const marks = new Marks(inUser);
  return layers.flatMap((path, index) => {
    const lowers = layers.slice(index + 1);
    const below = lowers.length === 0 ? null : openUnion({ lowers, userxattr: inUser });
    try {
      return checkLayer(path, below, marks, repair);
    } finally {
      below?.close();
    }
  });
}

export function fsck(args: Arguments<'fsck'>): void {
  if (args.repair) refuseLive([...args.layers, ...(args.work === undefined ? [] : [args.work])]);
  const findings = checkStack(args);
  const leftovers = args.work === undefined ? [] : checkWork(args.work, args.repair);
  if (args.json) {
    const shown = findings.map((finding) => ({ ...finding, path: toText(finding.path) }));
    process.stdout.write(`${JSON.stringify({ findings: shown, leftovers }, null, 2)}\n`);
  } else print(findings, leftovers);
  if ([...findings, ...leftovers].some(({ repaired }) => !repaired)) process.exitCode = 1;
}

function print(findings: readonly Finding[], leftovers: readonly Leftover[]): void {
  const verdict = (repaired: boolean): string => (repaired ? ' (repaired)' : '');
  for (const { layer, path, kind, what, repaired } of findings) {
    process.stdout.write(`${quote(layer)}: ${quote(toText(path))}: ${kind}: ${what}${verdict(repaired)}\n`);
  }
  for (const { path, what, repaired } of leftovers) {
    process.stdout.write(`${quote(path)}: ${what}${verdict(repaired)}\n`);
  }
  const count = findings.length + leftovers.length;
  const mended = [...findings, ...leftovers].filter(({ repaired }) => repaired).length;
  process.stdout.write(count === 0 ? 'nothing is wrong\n' : `${count} found, ${mended} repaired\n`);
}
