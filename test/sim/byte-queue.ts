/**
 * A first-in first-out queue of bytes: the buffers of simulated sockets. It copies what goes in, and what comes out
 * is copied to where the reader wants it.
 */

export class ByteQueue {
  #chunks: Uint8Array[] = [];
  #head = 0;
  #offset = 0;
  /** Bytes inside. */
  length = 0;

  /** Appends a copy of `byteLength` bytes of `source` from `offset`. */
  push(source: Uint8Array, offset: number, byteLength: number): void {
    if (byteLength === 0) return;
    const copy = Buffer.allocUnsafe(byteLength);
    copy.set(source.subarray(offset, offset + byteLength), 0);
    this.#chunks.push(copy);
    this.length += byteLength;
  }

  /** Takes up to `byteLength` bytes into `target` from `offset`; returns how many. */
  shift(target: Uint8Array, offset: number, byteLength: number): number {
    const total = Math.min(byteLength, this.length);
    let done = 0;
    while (done < total) {
      const chunk = this.#chunks[this.#head]!;
      const n = Math.min(total - done, chunk.length - this.#offset);
      target.set(chunk.subarray(this.#offset, this.#offset + n), offset + done);
      done += n;
      this.advance(chunk, n);
    }
    return done;
  }

  /** Moves the first `byteLength` bytes to the end of another queue without copying them. */
  moveTo(target: ByteQueue, byteLength: number): void {
    let left = Math.min(byteLength, this.length);
    while (left > 0) {
      const chunk = this.#chunks[this.#head]!;
      const n = Math.min(left, chunk.length - this.#offset);
      target.#chunks.push(chunk.subarray(this.#offset, this.#offset + n));
      target.length += n;
      left -= n;
      this.advance(chunk, n);
    }
  }

  clear(): void {
    this.#chunks = [];
    this.#head = 0;
    this.#offset = 0;
    this.length = 0;
  }

  private advance(chunk: Uint8Array, n: number): void {
    this.length -= n;
    this.#offset += n;
    if (this.#offset < chunk.length) return;
    this.#offset = 0;
    this.#head++;
    if (this.#head === this.#chunks.length) {
      this.#chunks.length = 0;
      this.#head = 0;
    } else if (this.#head > 64) {
      this.#chunks.splice(0, this.#head);
      this.#head = 0;
    }
  }
}
