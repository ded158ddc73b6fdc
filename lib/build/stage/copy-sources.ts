// SPDX-License-Identifier: MIT
/** The sources of a COPY or an ADD, found: in the context, a stage, an image, a here-document, on a server. */
import { chmodSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDigest } from '../../image/model/digest.js';
import { Staging } from '../../image/store/staging.js';
import { DockerfileError } from '../language/failure.js';
import { escapeGlob } from '../language/glob.js';
import type { CopyInstruction } from '../language/instructions.js';
import type { Heredoc } from '../language/lines.js';
import { isRepository, isUrl } from '../language/urls.js';
import { atPlace } from '../plan/arguments.js';
import { authorizationFor } from '../source/authorization.js';
import { archiveKindOf, openArchive } from '../source/local-archive.js';
import { type Found, SourceTree } from '../source/source-tree.js';
import type { StepSetting } from './step.js';

/** Words of an instruction with their variables replaced. */
export interface ExpandedCopy {
  instruction: CopyInstruction;
  sources: string[];
  destination: string;
  from: string | undefined;
  checksum: string | undefined;
}

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
    private readonly setting: StepSetting,
    private readonly scope: Scope,
    readonly pieces: readonly Piece[],
  ) {}

  /**
   * A pattern without a match is nothing, and so is a copy of nothing else (BuildKit's AllowEmptyWildcard).
   * Throws an OverlayError for a name that is not there.
   */
  static async find(setting: StepSetting, copy: ExpandedCopy): Promise<CopySources> {
    const scope = new Scope(setting.build.store.root);
    try {
      const pieces: Piece[] = [];
      for (const source of copy.sources) pieces.push(await findPiece(setting, copy, source, scope));
      for (const document of copy.instruction.heredocs)
        pieces.push(documentPiece(setting, copy.instruction.place, document, scope));
      return new CopySources(setting, scope, pieces);
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
    const { signal } = this.setting.build;
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
  setting: StepSetting,
  copy: ExpandedCopy,
  source: string,
  scope: Scope,
): Promise<Piece> {
  const { kind, unpack, parents, place } = copy.instruction;
  const { build } = setting;
  if (kind === 'ADD' && isRepository(source)) {
    throw new DockerfileError(
      place,
      `ADD ${source}: repositories of git are not fetched`,
      'clone it in a RUN, or into the context',
    );
  }
  if (kind === 'ADD' && isUrl(source))
    return { found: await fetched(setting, copy, source, scope), text: source, unpacks: unpack === true };
  const tree =
    copy.from === undefined ? await build.context() : scope.own(await openStage(setting, copy.from, place));
  const found = atPlace(place, () => tree.find(source, { parents }));
  return { found, text: source, unpacks: kind === 'ADD' && unpack !== false };
}

async function openStage(
  { build, stage }: StepSetting,
  from: string,
  place: CopyInstruction['place'],
): Promise<SourceTree> {
  const layers = await build.layersOf(stage, place, from);
  return new SourceTree(layers, from, true);
}

/** A here-document is a file of its name. */
function documentPiece(
  { variables, state }: StepSetting,
  place: CopyInstruction['place'],
  { name, content, expands }: Heredoc,
  scope: Scope,
): Piece {
  const directory = scope.scratch();
  mkdirSync(directory);
  const path = join(directory, name);
  writeFileSync(path, expands ? variables.expandDocument(place, content, state.config) : content);
  chmodSync(path, 0o644);
  const now = new Date();
  utimesSync(path, now, now);
  const tree = scope.own(new SourceTree({ lowers: [directory] }, name, false));
  return { found: tree.find(escapeGlob(name)), text: `<<${name}`, unpacks: false };
}

async function fetched(
  { build }: StepSetting,
  copy: ExpandedCopy,
  url: string,
  scope: Scope,
): Promise<Found[]> {
  const { checksum } = copy;
  const { place } = copy.instruction;
  if (checksum !== undefined && !isDigest(checksum))
    throw new DockerfileError(
      place,
      `--checksum=${checksum} is no digest`,
      'write sha256: and 64 hexadecimal digits',
    );
  const directory = scope.scratch();
  // Loaded only here: what speaks HTTP takes its time.
  const { fetchFile } = await import('../source/fetch.js');
  const { secrets } = build.options;
  const authorization = authorizationFor(new URL(url), secrets);
  const { name } = await fetchFile(url, directory, { checksum, authorization, signal: build.signal });
  return scope.own(new SourceTree({ lowers: [directory] }, url, false)).find(escapeGlob(name));
}
