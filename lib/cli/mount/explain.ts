// SPDX-License-Identifier: MIT
/** `tsoverlay explain` */
import { fromText } from '../../base/bytes.js';
import { OverlayError } from '../../base/errors.js';
import { layersOf } from '../../mount/records.js';
import { type Explanation, explainPath, type LayerFinding } from '../../overlay/inspect/explain.js';
import { openUnion } from '../../overlay/open/open.js';
import type { Arguments } from '../commands/table.js';
import { locate } from './targets.js';

function explainOne(path: string): Explanation & { upper: string | null } {
  const { record, inside } = locate(path);
  // The layers are read beside the live mount, never through it.
  const union = openUnion(layersOf(record));
  try {
    const explanation = explainPath(union, fromText(inside));
    if (typeof explanation === 'number') {
      throw new OverlayError({ operation: 'explain', path, errno: explanation });
    }
    return { ...explanation, path, upper: record.upper };
  } finally {
    union.close();
  }
}

function describe(finding: LayerFinding, upper: string | null): string {
  const notes = [
    finding.layer === upper ? 'upper' : 'lower',
    ...(finding.copiedUp ? ['copied up'] : []),
    ...(finding.opaque ? ['opaque'] : []),
    ...(finding.metadataOnly ? ['metadata only'] : []),
    ...(finding.redirect === undefined ? [] : [`redirected to ${finding.redirect}`]),
  ];
  return `  ${finding.role.padEnd(8)}  ${finding.type.padEnd(10)}  ${finding.layer} (${notes.join(', ')})\n`;
}

export function explain({ paths, json }: Arguments<'explain'>): void {
  const explanations = paths.map(explainOne);
  if (json) process.stdout.write(`${JSON.stringify(explanations, null, 2)}\n`);
  for (const explanation of json ? [] : explanations) {
    const head = explanation.exists ? `${explanation.type} from ${explanation.from}` : 'does not exist';
    process.stdout.write(`${explanation.path}: ${head}\n`);
    for (const finding of explanation.layers) process.stdout.write(describe(finding, explanation.upper));
  }
  const missing = explanations.find(({ exists, layers }) => !exists && layers.length === 0);
  if (missing !== undefined) {
    throw new OverlayError({ operation: 'explain', path: missing.path, reason: 'no layer has it' });
  }
}
