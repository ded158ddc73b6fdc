// SPDX-License-Identifier: MIT
/** `tsoverlay explain` */
import type { Argv, CommandModule } from 'yargs';
import { fromText } from '../base/bytes.js';
import { OverlayError } from '../base/errors.js';
import { type Explanation, explainPath, type LayerFinding } from '../overlay/explain.js';
import { openUnion } from '../overlay/open.js';
import { locate } from './targets.js';

interface Arguments {
  paths: string[];
  json: boolean;
}

function explain(path: string): Explanation & { upper: string | null } {
  const { record, inside } = locate(path);
  // The layers are read beside the live mount, never through it.
  const union = openUnion({
    lowers: record.lowers,
    upper: record.upper ?? undefined,
    readOnly: true,
    userxattr: record.userxattr,
  });
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
    ...(finding.redirect === undefined ? [] : [`redirected to ${finding.redirect}`]),
  ];
  return `  ${finding.role.padEnd(8)}  ${finding.type.padEnd(10)}  ${finding.layer} (${notes.join(', ')})\n`;
}

function handler({ paths, json }: Arguments): void {
  const explanations = paths.map(explain);
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

export const explainCommand: CommandModule<unknown, Arguments> = {
  command: 'explain <paths..>',
  describe: 'Which layer supplies a path of a mount, and what the other layers have of it',
  builder: ((yargs: Argv) =>
    yargs
      .positional('paths', { type: 'string', array: true, demandOption: true, describe: 'Paths in a mount' })
      .option('json', { type: 'boolean', default: false, describe: 'Print it as JSON' })
      .example('$0 explain /mnt/etc/passwd', 'Where it comes from')) as never,
  handler,
};
