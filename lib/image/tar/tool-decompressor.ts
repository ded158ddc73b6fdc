// SPDX-License-Identifier: MIT
/**
 * Decompression by a program of the system: Node has no xz and no bzip2, and
 * native-notes/archives.md says why no library takes their place.
 */
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { Transform, type TransformCallback } from 'node:stream';
import { childProcesses } from '../../base/builtins.js';
import { OverlayError } from '../../base/errors.js';

/** Of what a program says, as much as a message can show. */
const MOST_SAID = 500;

/** The program of a format is not installed. */
export class MissingTool extends OverlayError {
  constructor(program: string, path: string, cause: Error) {
    const reason = `there is no ${program} on this machine`;
    super({
      operation: 'decompress',
      path,
      reason,
      remedy: `install ${program}, or compress the archive by gzip`,
      cause,
    });
  }
}

/** It ends well only when the program did: what it gave before it found the damage is no content. */
export class ToolDecompressor extends Transform {
  readonly #child: ChildProcessWithoutNullStreams;
  /** Settles when the program and its streams have ended: with what went wrong, if anything did. */
  readonly #ended: Promise<OverlayError | null>;

  constructor(
    private readonly program: 'xz' | 'bzip2',
    private readonly what: string,
  ) {
    super();
    this.#child = childProcesses().spawn(program, ['-dc'], { stdio: ['pipe', 'pipe', 'pipe'] });
    const { stdin, stdout, stderr } = this.#child;
    let said = '';
    stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(0, MOST_SAID);
    });
    // A program that has ended takes no more; its end says why.
    stdin.on('error', () => undefined);
    stdout.on('data', (chunk: Buffer) => {
      if (!this.destroyed && !this.push(chunk)) stdout.pause();
    });
    this.#ended = new Promise((resolve) => {
      this.#child.on('error', (cause) => resolve(new MissingTool(this.program, this.what, cause)));
      this.#child.on('close', (code) => resolve(code === 0 ? null : this.#damaged(said)));
    });
  }

  #damaged(said: string): OverlayError {
    const reason = said.trim().split('\n')[0] || `${this.program} failed`;
    return new OverlayError({ operation: 'verify', path: this.what, reason });
  }

  override _read(size: number): void {
    this.#child.stdout.resume();
    super._read(size);
  }

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    this.#child.stdin.write(chunk, (failure) => {
      // Bytes after the end of what is compressed are left out, as the programs do it.
      if (failure) this.#ended.then((problem) => done(problem));
      else done();
    });
  }

  override _flush(done: TransformCallback): void {
    this.#child.stdin.end();
    this.#ended.then((problem) => done(problem));
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#child.kill('SIGKILL');
    this.#child.stdout.resume();
    done(error);
  }
}
