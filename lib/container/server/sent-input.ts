// SPDX-License-Identifier: MIT
/** What a client has sent to a program and the server has not said to have taken: it may have to be sent again. */
export class SentInput {
  #pieces: Buffer[] = [];
  #taken = 0;
  #hasEnded = false;

  /** An empty piece is the end. The bytes are this object's from now on. */
  add(bytes: Buffer): void {
    if (bytes.length === 0) this.#hasEnded = true;
    else this.#pieces.push(bytes);
  }

  /** How many bytes of all are known to be taken. */
  get taken(): number {
    return this.#taken;
  }

  set taken(count: number) {
    for (let rest = count - this.#taken; rest > 0; ) {
      const [first] = this.#pieces;
      if (first === undefined) break;
      if (rest < first.length) {
        this.#pieces[0] = first.subarray(rest);
        break;
      }
      rest -= first.length;
      this.#pieces.shift();
    }
    this.#taken = count;
  }

  /** All that is to be sent again. */
  *rest(): Generator<Buffer> {
    yield* this.#pieces;
    if (this.#hasEnded) yield Buffer.alloc(0);
  }
}
