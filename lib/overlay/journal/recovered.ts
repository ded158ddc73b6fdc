// SPDX-License-Identifier: MIT
/** Nodes of an earlier server that nobody has asked for yet: by id, and by name in their directory. */
import type { ByteString } from '../../base/bytes.js';
import type { RecordedNode } from './recorded.js';

/** From so many on a directory's nodes are found by a table. */
const MANY = 16;

class Children {
  readonly #list: RecordedNode[] = [];
  #byName: Map<ByteString, RecordedNode> | null = null;

  get size(): number {
    return this.#byName?.size ?? this.#list.length;
  }

  add(node: RecordedNode): void {
    if (this.#byName === null) this.#list.push(node);
    else this.#byName.set(node.name, node);
  }

  find(name: ByteString): RecordedNode | undefined {
    if (this.#byName === null && this.#list.length < MANY)
      return this.#list.find((node) => node.name === name);
    return this.#table().get(name);
  }

  remove(node: RecordedNode): void {
    const position = this.#byName === null && this.#list.length < MANY ? this.#list.indexOf(node) : -1;
    if (position >= 0) this.#list.splice(position, 1);
    else if (this.#table().get(node.name) === node) this.#table().delete(node.name);
  }

  #table(): Map<ByteString, RecordedNode> {
    this.#byName ??= new Map(this.#list.map((node) => [node.name, node]));
    return this.#byName;
  }
}

export class Recovered {
  readonly #children = new Map<number, Children>();

  constructor(private readonly nodes: Map<number, RecordedNode>) {
    for (const node of nodes.values()) this.#enter(node);
  }

  get size(): number {
    return this.nodes.size;
  }

  values(): IterableIterator<RecordedNode> {
    return this.nodes.values();
  }

  get(id: number): RecordedNode | undefined {
    return this.nodes.get(id);
  }

  /** The node whose first name this is. */
  childOf(directory: number, name: ByteString): RecordedNode | undefined {
    return this.#children.get(directory)?.find(name);
  }

  hasChildren(directory: number): boolean {
    return this.#children.has(directory);
  }

  /** Takes a node out: it is a node like others from now on, or none at all. */
  take(node: RecordedNode): void {
    this.nodes.delete(node.id);
    this.#leave(node);
  }

  /** Gives a node another first name; '' for none. */
  move(node: RecordedNode, parent: number, name: ByteString): void {
    this.#leave(node);
    node.parent = parent;
    node.name = name;
    node.lowers = null;
    this.#enter(node);
  }

  #enter(node: RecordedNode): void {
    if (node.name === '') return;
    const known = this.#children.get(node.parent);
    const children = known ?? new Children();
    if (known === undefined) this.#children.set(node.parent, children);
    children.add(node);
  }

  #leave(node: RecordedNode): void {
    const children = this.#children.get(node.parent);
    if (children === undefined || node.name === '') return;
    children.remove(node);
    if (children.size === 0) this.#children.delete(node.parent);
  }
}
