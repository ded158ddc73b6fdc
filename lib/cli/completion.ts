// SPDX-License-Identifier: MIT
/** `tsoverlay completion`: the script asks program.ts for each word. */
import yargs from 'yargs';

export function completion(): void {
  yargs().scriptName('tsoverlay').showCompletionScript();
}
