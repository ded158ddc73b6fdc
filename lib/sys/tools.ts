// SPDX-License-Identifier: MIT
/** Tools of the system: started, waited for, and their complaint turned into an error. */
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { OverlayError } from '../base/errors.js';

/** Runs a program; `input` is what it reads. Throws an OverlayError with what it said when it fails. */
export async function runTool(
  program: string,
  args: readonly string[],
  input = '',
  operation = `run ${program}`,
): Promise<string> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  // A program that does not read all it is given says why by its exit code.
  child.stdin.on('error', () => child.stdin.destroy());
  child.stdin.end(input);
  try {
    const [code, output, errors] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
    if (code === 0) return output;
    throw new OverlayError({ operation, reason: errors.trim() || `${program} ended with ${code}` });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
    throw new OverlayError({
      operation,
      reason: `there is no ${program} on this machine`,
      remedy: 'install it',
      cause,
    });
  }
}
