// SPDX-License-Identifier: MIT
/** What the journal says of the nodes that the kernel knows, read back after the server's end. */
import type { ByteString } from '../../base/bytes.js';
import type { Times } from '../../sys/entries.js';
import { Stat } from '../../sys/stat.js';
import { Kind, type RecordReader } from './records.js';

/** A file in a lower layer, by its layer's index and its path there. */
export interface RecordedPlace {
  layer: number;
  path: ByteString;
}

/** A node that the kernel knows. Its first name leads to it; without one it is an orphan, in a lower layer, or dead. */
export class RecordedNode {
  references = 0;
  inodeLow = 0;
  inodeHigh = 0;
  linked = false;
  parent = 0;
  name: ByteString = '';
  orphan: ByteString | null = null;
  lower: RecordedPlace | null = null;
  data: RecordedPlace | null = null;
  /** Of a directory: its lowers, by their position in its parent's; null where its name alone does not lead to them. */
  lowers: number[] | null = null;
  /** Of a directory that was removed while somebody was in it. */
  dead: Stat | null = null;

  constructor(
    readonly id: number,
    readonly type: number,
  ) {}
}

/** The answer that the last request got, or would have got. */
export interface Commit {
  unique: number;
  uniqueHigh: number;
  status: number;
  node: number;
}

/** What a request was about to do. */
export interface RecordedIntent {
  unique: number;
  uniqueHigh: number;
  text: string;
}

/** Of a directory of the upper, by its path there. */
export interface RecordedTimes extends Times {
  path: ByteString;
}

/** Everything that the journal says. */
export class Recording {
  readonly nodes = new Map<number, RecordedNode>();
  nextId = 0;
  commit: Commit | null = null;
  /** Begun and not known to be done. */
  intent: RecordedIntent | null = null;
  /** A copy-up was about to change them and may not have put them back. */
  times: RecordedTimes | null = null;
  /** How often the last request that was done had counted on nodes: ids and counts in turn. */
  lastReferences: number[] = [];
  #references: number[] = [];

  /** Takes in one record. */
  take(reader: RecordReader): void {
    this.times = reader.kind === Kind.TIMES ? { ...readTimes(reader), path: reader.text() } : null;
    if (reader.kind === Kind.NODE) this.#takeNode(reader);
    else if (reader.kind === Kind.REFER) this.#takeReference(reader.number(), reader.signed());
    else if (reader.kind === Kind.DROP) this.nodes.delete(reader.number());
    else if (reader.kind === Kind.NEXT) this.nextId = Math.max(this.nextId, reader.number());
    else if (reader.kind === Kind.INTENT) this.#takeIntent(reader);
    else if (reader.kind === Kind.COMMIT) this.#takeCommit(reader);
    else if (reader.kind !== Kind.TIMES) this.#change(reader);
  }

  #takeIntent(reader: RecordReader): void {
    this.intent = { unique: reader.word(), uniqueHigh: reader.word(), text: reader.text() };
  }

  #change(reader: RecordReader): void {
    const node = this.nodes.get(reader.number());
    if (node !== undefined) change(node, reader);
  }

  #takeNode(reader: RecordReader): void {
    const node = new RecordedNode(reader.number(), reader.word());
    node.references = reader.word();
    node.inodeLow = reader.word();
    node.inodeHigh = reader.word();
    node.linked = reader.word() === 1;
    node.parent = reader.number();
    node.name = reader.text();
    this.nodes.set(node.id, node);
    this.nextId = Math.max(this.nextId, node.id + 1);
  }

  #takeReference(id: number, difference: number): void {
    this.#references.push(id, difference);
    const node = this.nodes.get(id);
    if (node !== undefined) node.references += difference;
  }

  #takeCommit(reader: RecordReader): void {
    this.commit = {
      unique: reader.word(),
      uniqueHigh: reader.word(),
      status: reader.signed(),
      node: reader.number(),
    };
    this.intent = null;
    this.lastReferences = this.#references;
    this.#references = [];
  }
}

function change(node: RecordedNode, reader: RecordReader): void {
  switch (reader.kind) {
    case Kind.NAME:
      node.parent = reader.number();
      node.name = reader.text();
      node.lowers = null;
      break;
    case Kind.ORPHAN: {
      const name = reader.text();
      node.orphan = name === '' ? null : name;
      break;
    }
    case Kind.PLACE: {
      const isData = reader.word() === 1;
      const layer = reader.word();
      const place = { layer, path: reader.text() };
      if (isData) node.data = place;
      else node.lower = place;
      break;
    }
    case Kind.LOWERS:
      node.lowers = reader.rest();
      break;
    case Kind.DEAD:
      node.dead = readStat(reader);
      break;
    case Kind.LINKED:
      node.linked = true;
      break;
    case Kind.INODE:
      node.inodeLow = reader.word();
      node.inodeHigh = reader.word();
      break;
  }
}

function readTimes(reader: RecordReader): Times {
  return {
    accessSeconds: reader.integer(),
    accessNanoseconds: reader.word(),
    modifySeconds: reader.integer(),
    modifyNanoseconds: reader.word(),
  };
}

function readStat(reader: RecordReader): Stat {
  const stat = new Stat();
  stat.mode = reader.word();
  stat.uid = reader.word();
  stat.gid = reader.word();
  stat.size = reader.number();
  stat.blocks = reader.number();
  stat.blockSize = reader.word();
  Object.assign(stat, readTimes(reader));
  stat.changeSeconds = reader.integer();
  stat.changeNanoseconds = reader.word();
  return stat;
}
