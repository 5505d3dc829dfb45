/**
 * What `for await (const chunk of connection)` takes its chunks from: copies that the consumer owns. Reading pauses
 * while more than a high-water mark of bytes wait to be taken, so a slow consumer slows the peer down.
 */

import type { CloseReason, Connection } from '../api.js';
import { ENOBUFS, ETIMEDOUT } from '../base/errno.js';
import { SystemError } from '../errors.js';
import type { ChunkConsumer } from './extras.js';

type Outcome = IteratorResult<Buffer, undefined>;
interface Waiter {
  resolve(outcome: Outcome): void;
  reject(error: Error): void;
}

export class ChunkQueue implements AsyncIterableIterator<Buffer>, ChunkConsumer {
  readonly keepsHalfOpen = false;
  readonly #connection: Connection;
  readonly #highWaterMark: number;
  readonly #lowWaterMark: number;
  readonly #chunks: Buffer[] = [];
  readonly #waiters: Waiter[] = [];
  #waitingBytes = 0;
  /** We have paused reading: a pause of the user's own is not ours to end. */
  #isPausing = false;
  #isEnded = false;
  #error: Error | undefined;

  constructor(connection: Connection, highWaterMark: number, lowWaterMark: number) {
    this.#connection = connection;
    this.#highWaterMark = highWaterMark;
    this.#lowWaterMark = lowWaterMark;
  }

  push(chunk: Buffer): void {
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) {
      waiter.resolve({ done: false, value: chunk });
      return;
    }
    this.#chunks.push(chunk);
    this.#waitingBytes += chunk.length;
    if (this.#waitingBytes > this.#highWaterMark && !this.#connection.isPaused) {
      this.#isPausing = true;
      this.#connection.pause();
    }
  }

  end(): void {
    this.#end(undefined);
  }

  close(reason: CloseReason): void {
    this.#end(errorOf(reason));
  }

  #end(error: Error | undefined): void {
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
      this.#waitingBytes -= chunk.length;
      if (this.#isPausing && this.#waitingBytes <= this.#lowWaterMark) {
        this.#isPausing = false;
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
    this.end();
    this.#connection.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The error is told once; after it, and after the end, the iterator is done. */
  #settle(waiter: Waiter): void {
    const error = this.#error;
    this.#error = undefined;
    if (error === undefined) {
      waiter.resolve({ done: true, value: undefined });
    } else {
      waiter.reject(error);
    }
  }
}

/**
 * The error that tells a consumer that it did not get all: undefined where this side ended the connection, or the peer
 * its stream. A deadline that passed is ETIMEDOUT, a queue that overflowed ENOBUFS.
 */
export function errorOf({ code, error, timeout }: CloseReason): Error | undefined {
  if (error === undefined && code === 'timeout') {
    return new SystemError(timeout ?? 'read', ETIMEDOUT);
  }
  return error ?? (code === 'overflow' ? new SystemError('write', ENOBUFS) : undefined);
}
