// SPDX-License-Identifier: MIT
/** The sources of a COPY or an ADD, found: in the context, a stage, an image, a here-document, on a server. */
import { chmodSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Staging } from '../../image/store/staging.js';
import { escapeGlob } from '../language/glob.js';
import { atPlace } from '../language/words.js';
import type { CopyStep, Source } from '../plan/plan.js';
import { authorizationFor } from '../source/authorization.js';
import { archiveKindOf, openArchive } from '../source/local-archive.js';
import { type Found, SourceTree } from '../source/source-tree.js';
import { viewOf } from './stage-state.js';
import type { BuiltOrigin, StepHost, StepSetting } from './step.js';

/** One source, found. An archive of ADD is taken apart when the layer is made. */
export interface Piece {
  found: Found[];
  /** What was written, for messages. */
  text: string;
  unpacks: boolean;
}

/** What has to be given back when a copy is over. */
class Scope implements Disposable {
  readonly #owned: Disposable[] = [];
  #staging: Staging | undefined;
  #count = 0;

  constructor(private readonly root: string) {}

  own<T extends Disposable>(thing: T): T {
    this.#owned.push(thing);
    return thing;
  }

  /** A path for a new directory. */
  scratch(): string {
    this.#staging ??= Staging.make({ root: this.root });
    return join(this.#staging.path, String(this.#count++));
  }

  [Symbol.dispose](): void {
    for (const thing of this.#owned.reverse()) thing[Symbol.dispose]();
    this.#staging?.[Symbol.dispose]();
  }
}

/** Found sources, for as long as they are needed. */
export class CopySources implements Disposable {
  private constructor(
    private readonly signal: AbortSignal,
    private readonly scope: Scope,
    readonly pieces: readonly Piece[],
  ) {}

  /**
   * A pattern without a match is nothing, and so is a copy of nothing else (BuildKit's AllowEmptyWildcard).
   * Throws an OverlayError for a name that is not there.
   */
  static async find({ build }: StepSetting, planned: CopyStep<string>): Promise<CopySources> {
    const scope = new Scope(build.store.root);
    try {
      const pieces: Piece[] = [];
      for (const source of planned.sources) pieces.push(await findPiece(build, planned, source, scope));
      return new CopySources(build.signal, scope, pieces);
    } catch (failure) {
      scope[Symbol.dispose]();
      throw failure;
    }
  }

  get found(): Found[] {
    return this.pieces.flatMap(({ found }) => found);
  }

  /** The same with archives taken apart, as ADD does it. */
  async unpacked(): Promise<Found[]> {
    const { signal } = this;
    const all: Found[] = [];
    for (const { found, unpacks } of this.pieces) {
      for (const one of found) {
        const kind = unpacks ? await archiveKindOf(one, signal) : undefined;
        if (kind === undefined) all.push(one);
        else
          all.push(...this.scope.own(await openArchive(one, kind, this.scope.scratch(), signal)).find('/'));
      }
    }
    return all;
  }

  [Symbol.dispose](): void {
    this.scope[Symbol.dispose]();
  }
}

async function findPiece(
  build: StepHost,
  planned: CopyStep<string>,
  source: Source<string>,
  scope: Scope,
): Promise<Piece> {
  const { kind, unpack, parents, place, from } = planned;
  switch (source.kind) {
    case 'url': {
      const found = await fetched(build, planned, source.url, scope);
      return { found, text: source.url, unpacks: unpack === true };
    }
    case 'document':
      return documentPiece(source, scope);
    case 'path': {
      const { origin, path } = source;
      const tree = origin.kind === 'context' ? await build.context() : scope.own(await opened(origin));
      const found = atPlace(place, () => tree.find(path, { parents }));
      return { found, text: path, unpacks: kind === 'ADD' && unpack !== false };
    }
  }

  async function opened(origin: BuiltOrigin): Promise<SourceTree> {
    const layers = viewOf(build.store, await build.stateOf(origin, place));
    return new SourceTree(layers, from ?? '', true);
  }
}

/** A here-document is a file of its name. */
function documentPiece({ name, content }: { name: string; content: string }, scope: Scope): Piece {
  const directory = scope.scratch();
  mkdirSync(directory);
  const path = join(directory, name);
  writeFileSync(path, content);
  chmodSync(path, 0o644);
  const now = new Date();
  utimesSync(path, now, now);
  const tree = scope.own(new SourceTree({ lowers: [directory] }, name, false));
  return { found: tree.find(escapeGlob(name)), text: `<<${name}`, unpacks: false };
}

async function fetched(
  { options, signal }: StepHost,
  { checksum }: CopyStep<string>,
  url: string,
  scope: Scope,
): Promise<Found[]> {
  const directory = scope.scratch();
  // Loaded only here: what speaks HTTP takes its time.
  const { fetchFile } = await import('../source/fetch.js');
  const authorization = authorizationFor(new URL(url), options.secrets);
  const { name } = await fetchFile(url, directory, { checksum, authorization, signal });
  return scope.own(new SourceTree({ lowers: [directory] }, url, false)).find(escapeGlob(name));
}
