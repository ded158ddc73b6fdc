// SPDX-License-Identifier: MIT
/** Programs that keep passwords (docker-credential-helpers' protocol: the server on standard input, JSON out). */
import { execFile } from 'node:child_process';
import { OverlayError } from '../../base/errors.js';
import type { Credentials } from './credential.js';
import { isObject } from './docker-config.js';

/** What a helper answers as the name when the secret is a token. */
const TOKEN_USER = '<token>';
const LONGEST_ANSWER = 1 << 20;
const TIMEOUT_MS = 30_000;

interface Ended {
  /** Why it could not be run, or did not end by itself. */
  failure: (Error & { code?: string | number | null; killed?: boolean; signal?: string | null }) | null;
  stdout: string;
  stderr: string;
}

function run(program: string, input: string): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { timeout: TIMEOUT_MS, maxBuffer: LONGEST_ANSWER };
    const child = execFile(program, ['get'], options, (failure, stdout, stderr) =>
      resolve({ failure, stdout, stderr }),
    );
    child.stdin!.on('error', () => {
      // One that does not read what it is asked has its say all the same.
    });
    child.stdin!.end(input);
  });
}

/** Asks a helper that `file` names; undefined where it knows no password. Throws an OverlayError. */
export async function askHelper(
  helper: string,
  server: string,
  file: string,
): Promise<Credentials | undefined> {
  const program = `docker-credential-${helper}`;
  const failed = (reason: string, remedy?: string): OverlayError =>
    new OverlayError({ operation: 'ask for a password', path: program, reason, remedy });
  if (!/^[\w.+-]+$/.test(helper)) throw failed('that is no name of a program', `see ${file}`);
  const { failure, stdout, stderr } = await run(program, server);
  if (failure !== null) {
    if (/credentials not found/i.test(`${stdout}${stderr}`)) return undefined;
    throw failed(
      wordsFor(failure, firstLine(stdout) ?? firstLine(stderr)),
      failure.code === 'ENOENT' ? `install it, or take it out of ${file}` : undefined,
    );
  }
  if (stdout.trim() === '') throw failed('it answered nothing');
  return read(stdout, program, failed);
}

function firstLine(text: string): string | undefined {
  return text.trim().split('\n')[0] || undefined;
}

function wordsFor({ code, killed, signal, message }: NonNullable<Ended['failure']>, said?: string): string {
  if (code === 'ENOENT') return 'the program is not installed';
  if (code === 'EACCES') return 'it may not be executed';
  if (code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') return `it wrote more than ${LONGEST_ANSWER} bytes`;
  if (killed === true) return `it did not answer within ${TIMEOUT_MS / 1000} seconds`;
  if (said !== undefined) return said;
  return typeof code === 'number' || signal ? `it ended with ${signal ?? code}` : message;
}

function read(
  text: string,
  program: string,
  failed: (reason: string) => OverlayError,
): Credentials | undefined {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    // Its text may be a password: it is not shown.
    throw failed('its answer is not JSON');
  }
  const { Username: username, Secret: secret } = isObject(answer) ? answer : {};
  if (typeof username !== 'string' || typeof secret !== 'string')
    throw failed('its answer has no Username and Secret');
  if (secret === '') return undefined;
  if (username === '') throw failed('it gave a password without a name');
  if (username === TOKEN_USER) return { username: '', password: '', identityToken: secret, from: program };
  return { username, password: secret, from: program };
}
