// SPDX-License-Identifier: MIT
/** The sources of a COPY or an ADD, found: in the context, a stage, an image, a here-document, on a server. */
import { chmodSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDigest } from '../../image/digest.js';
import { Staging } from '../../image/staging.js';
import { DockerfileError } from '../language/failure.js';
import type { CopyInstruction } from '../language/instructions.js';
import { heredocName } from '../language/lines.js';
import { archiveKindOf, openArchive } from '../source/local-archive.js';
import { type Found, SourceTree } from '../source/source-tree.js';
import { isRepository, isUrl } from '../source/urls.js';
import type { StepSetting } from './stage-builder.js';

/** Words of an instruction with their variables replaced. */
export interface ExpandedCopy {
  instruction: CopyInstruction;
  sources: string[];
  destination: string;
  from: string | undefined;
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

  /** Throws an OverlayError for what is not there. */
  static async find(setting: StepSetting, copy: ExpandedCopy): Promise<CopySources> {
    const scope = new Scope(setting.build.store.root);
    try {
      const pieces: Piece[] = [];
      for (const [index, source] of copy.sources.entries())
        pieces.push(await findPiece(setting, copy, source, index, scope));
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
  index: number,
  scope: Scope,
): Promise<Piece> {
  const { kind, unpack, place } = copy.instruction;
  const { build } = setting;
  if (heredocName(source) !== undefined)
    return { found: documentPiece(setting, copy, index, scope), text: source, unpacks: false };
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
  return { found: tree.find(source), text: source, unpacks: kind === 'ADD' && unpack !== false };
}

async function openStage(
  { build, stage }: StepSetting,
  from: string,
  place: CopyInstruction['place'],
): Promise<SourceTree> {
  const layers = await build.layersOf(stage, place, from);
  if (layers === undefined) throw new DockerfileError(place, `${from} has no files`, 'see what --from names');
  return new SourceTree(layers, from, true);
}

/** The here-documents come in the order in which they are named. */
function documentPiece(
  { variables, state }: StepSetting,
  copy: ExpandedCopy,
  index: number,
  scope: Scope,
): Found[] {
  const { place, sources, heredocs } = copy.instruction;
  const before = sources.slice(0, index).filter((source) => heredocName(source) !== undefined).length;
  const { name, content, expands } = heredocs[before];
  const directory = scope.scratch();
  mkdirSync(directory);
  const path = join(directory, name);
  writeFileSync(path, expands ? variables.expandDocument(place, content, state.config) : content);
  chmodSync(path, 0o644);
  const now = new Date();
  utimesSync(path, now, now);
  return scope.own(new SourceTree({ lowers: [directory] }, name, false)).find(escaped(name));
}

function escaped(name: string): string {
  return name.replace(/[*?[\\]/g, '\\$&');
}

async function fetched(
  { build }: StepSetting,
  copy: ExpandedCopy,
  url: string,
  scope: Scope,
): Promise<Found[]> {
  const { checksum, place } = copy.instruction;
  if (checksum !== undefined && !isDigest(checksum))
    throw new DockerfileError(
      place,
      `--checksum=${checksum} is no digest`,
      'write sha256: and 64 hexadecimal digits',
    );
  const directory = scope.scratch();
  // Loaded only here: what speaks HTTP takes its time.
  const { fetchFile } = await import('../source/fetch.js');
  const { name } = await fetchFile(url, directory, checksum, build.signal);
  return scope.own(new SourceTree({ lowers: [directory] }, url, false)).find(escaped(name));
}
