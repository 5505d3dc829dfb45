/** The watcher: what a user has of a proactor. Checks arguments, and closes what nobody holds any more. */

import type { Connection } from '../api.js';
import { threadKernel } from '../engine/thread-kernel.js';
import type {
  OperationOptions,
  Result,
  Submission,
  Watchable,
  WatcherOptions,
  WatcherStats,
} from './api.js';
import { type Kind, READ, READ_FULL, WRITE } from './operation.js';
import { Proactor } from './proactor.js';

const SHARED_BYTES_MIN = 65_536;
const COUNT_MAX = 0xffff_ffff;

/** Watchers that became garbage: nobody can take their results. */
const abandoned = new FinalizationRegistry<Proactor>((proactor) => {
  void proactor.close();
});

/**
 * Reads and writes are asked for, and done when they are done: results come in batches. Belongs to one thread, and
 * takes connections of any reactor of it with their first operation: the handler that a connection had gets nothing
 * more from then on. Nothing is read that no operation asks for.
 *
 * Operations of one connection and direction are done in the order in which they were submitted; the two directions do
 * not wait for each other. A buffer belongs to the watcher until the result comes.
 *
 * A connection is held by its user and by its operations: one that is garbage is closed. So hold on to the object that
 * was submitted, or have a read pending.
 */
export class Watcher<Peer extends Watchable = Connection> implements AsyncDisposable {
  readonly #proactor: Proactor;

  constructor(options: WatcherOptions = {}) {
    this.#proactor = new Proactor({
      sharedBytes: countOf(options, 'sharedBytes', 1_048_576, SHARED_BYTES_MIN),
      resultsMax: countOf(options, 'resultsMax', 16_384, 1),
      operationsMax: countOf(options, 'operationsMax', 262_144, 1),
      kernel: threadKernel(),
    });
    abandoned.register(this, this.#proactor);
  }

  /**
   * Completes with what one receive brings, at most what `buffer` takes. Without a buffer the bytes lie in memory that
   * the watcher's connections share, until the next batch is asked for. After the peer's FIN: ERR_END, no bytes.
   *
   * @throws TypeError for what is neither a connection nor a socket, or has another watcher; RangeError for an empty
   *   buffer.
   */
  read(connection: Peer, buffer?: Uint8Array, options: OperationOptions = {}): Submission {
    if (buffer !== undefined) {
      checkBuffer('read', buffer);
    }
    return this.#submit(READ, connection, buffer, options);
  }

  /** Completes when `buffer` is full, or with an error and the `size` that it has come to. Throws as `read` does. */
  readFull(connection: Peer, buffer: Uint8Array, options: OperationOptions = {}): Submission {
    checkBuffer('readFull', buffer);
    return this.#submit(READ_FULL, connection, buffer, options);
  }

  /**
   * Completes when the kernel has all of `buffer`, which must not be changed until then. Throws as `read` does.
   *
   * When it ends early, `size` bytes are in the stream, and no more: nothing is sent twice if the rest is submitted
   * again.
   */
  write(connection: Peer, buffer: Uint8Array, options: OperationOptions = {}): Submission {
    checkBuffer('write', buffer);
    return this.#submit(WRITE, connection, buffer, options);
  }

  /**
   * Closes the connection gracefully. Its operations complete with ERR_FREED, but for writes that were handed over
   * whole: these go out first, within the linger timeout, and complete as they end. False if it was closed already.
   */
  free(connection: Peer): boolean {
    return this.#proactor.free(connection);
  }

  /**
   * The next batch, of at least one result; undefined when the watcher is closed and all results were taken. With this
   * call the shared memory of the last batch is given back. One at a time: a second one rejects with ERR_WAITING.
   */
  waitIo(): Promise<Result<Peer>[] | undefined> {
    return this.#proactor.results.wait() as Promise<Result<Peer>[] | undefined>;
  }

  /** The batches, until the watcher is closed. Leaving the loop closes nothing. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Result<Peer>[]> {
    const next = async (): Promise<IteratorResult<Result<Peer>[], undefined>> => {
      const value = await this.waitIo();
      return value === undefined ? { done: true, value } : { done: false, value };
    };
    return {
      next,
      return: () => Promise.resolve({ done: true, value: undefined }),
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  get stats(): WatcherStats {
    return this.#proactor.stats;
  }

  /**
   * Takes no more operations and frees all connections; operations complete with ERR_CLOSED, and results can still be
   * taken. Resolves when the connections are closed. May be called again.
   */
  close(): Promise<void> {
    return this.#proactor.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #submit(
    kind: Kind,
    connection: Peer,
    buffer: Uint8Array | undefined,
    { deadlineMs = 0, context }: OperationOptions,
  ): Submission {
    if (!Number.isInteger(deadlineMs) || deadlineMs < 0 || deadlineMs > COUNT_MAX) {
      throw new RangeError(
        `Expected deadlineMs to be an integer from 0 to ${COUNT_MAX}, got ${String(deadlineMs)}`,
      );
    }
    return this.#proactor.submit(kind, connection, buffer, deadlineMs, context);
  }
}

function checkBuffer(method: string, buffer: unknown): void {
  if (!(buffer instanceof Uint8Array)) {
    const got = buffer === null ? 'null' : typeof buffer;
    throw new TypeError(`Cannot ${method}: expected a buffer, a Uint8Array, got ${got}`);
  }
  if (buffer.length === 0) {
    throw new RangeError(`Cannot ${method}: the buffer is empty`);
  }
}

function countOf(
  options: WatcherOptions,
  name: keyof WatcherOptions,
  fallback: number,
  min: number,
): number {
  const value = options[name] ?? fallback;
  if (!Number.isInteger(value) || value < min || value > COUNT_MAX) {
    throw new RangeError(
      `Expected ${name} to be an integer from ${min} to ${COUNT_MAX}, got ${String(value)}`,
    );
  }
  return value;
}
