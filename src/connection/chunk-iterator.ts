/**
 * `for await (const chunk of connection)`: received bytes as copies that the consumer owns. Reading pauses while more
 * than a high-water mark of bytes wait to be taken, so a slow consumer slows the peer down. Costs nothing unless used.
 */

import type { SocketConnection } from './connection.js';
import { CLOSING, DESTROYED, END_OWED, HAS_READER, RECEIVE_ENDED } from './connection-table.js';
import { type ChunkConsumer, extrasOf } from './extras.js';

type Outcome = IteratorResult<Buffer, undefined>;
interface Waiter {
  resolve(outcome: Outcome): void;
  reject(error: Error): void;
}

class ChunkIterator implements ChunkConsumer, AsyncIterableIterator<Buffer> {
  readonly #connection: SocketConnection;
  readonly #chunks: Buffer[] = [];
  readonly #waiters: Waiter[] = [];
  #waitingBytes = 0;
  #isEnded = false;
  #error: Error | undefined;

  constructor(connection: SocketConnection) {
    this.#connection = connection;
  }

  push(bytes: Buffer): void {
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) {
      waiter.resolve({ done: false, value: bytes });
      return;
    }
    this.#chunks.push(bytes);
    this.#waitingBytes += bytes.byteLength;
    if (this.#waitingBytes > this.#connection.profile.highWaterMark) {
      this.#connection.pause();
    }
  }

  end(error: Error | undefined): void {
    if (this.#isEnded) {
      return;
    }
    this.#isEnded = true;
    this.#error = error;
    for (const waiter of this.#waiters.splice(0)) {
      this.#settle(waiter);
    }
  }

  next(): Promise<Outcome> {
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) {
      this.#waitingBytes -= chunk.byteLength;
      if (this.#waitingBytes <= this.#connection.profile.lowWaterMark) {
        this.#connection.resume();
      }
      return Promise.resolve({ done: false, value: chunk });
    }
    return new Promise((resolve, reject) => {
      const waiter = { resolve, reject };
      if (this.#isEnded) {
        this.#settle(waiter);
      } else {
        this.#waiters.push(waiter);
      }
    });
  }

  /** The loop was left early: the rest is of no interest. */
  return(): Promise<Outcome> {
    this.#chunks.length = 0;
    this.end(undefined);
    this.#connection.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** An error is told once; after it, and after the end, the iterator is done. */
  #settle(waiter: Waiter): void {
    const error = this.#error;
    this.#error = undefined;
    if (error !== undefined) {
      waiter.reject(error);
    } else {
      waiter.resolve({ done: true, value: undefined });
    }
  }
}

/** Starts to consume; one iterator for each connection. */
export function iterate(connection: SocketConnection): AsyncIterableIterator<Buffer> {
  const { owner, slot } = connection;
  const iterator = new ChunkIterator(connection);
  if (slot < 0 || (owner.table.flags[slot] & (CLOSING | DESTROYED)) !== 0) {
    iterator.end(undefined);
    return iterator;
  }
  const extras = extrasOf(owner, slot);
  if (extras.consumer !== undefined) {
    throw new TypeError('Cannot iterate over a connection twice');
  }
  extras.consumer = iterator;
  const flags = owner.table.flags[slot];
  if ((flags & HAS_READER) !== 0) {
    const reader = owner.readers.get(slot)!;
    if (reader.length > 0) {
      iterator.push(reader.readCopy(reader.length)!);
    }
  }
  if ((flags & RECEIVE_ENDED) !== 0 && (flags & END_OWED) === 0) {
    iterator.end(undefined);
  }
  return iterator;
}
