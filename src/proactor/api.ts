/** The proactor's face, as types. */

import type { Socket } from 'node:net';

import type { Connection } from '../api.js';

/** What a watcher can work on: a connection of this library, or any connected socket of Node's. */
export type Watchable = Connection | Socket;

/**
 * What became of a submission.
 * - `pending`: exactly one result will come.
 * - `full`: nothing was taken, since `operationsMax` operations have no result yet or one that was not taken.
 * - `closed`: nothing was taken; the watcher is closed.
 */
export type Submission = 'pending' | 'full' | 'closed';

export interface OperationOptions {
  /** Milliseconds from now after which the operation completes with ERR_DEADLINE. 0 (the default): none. */
  deadlineMs?: number;
  /** Anything of the user's: comes back in the result. */
  context?: unknown;
}

/** Why an operation did not do all that it was asked for. */
export interface OperationError extends Error {
  /**
   * - `ERR_END`: the peer ended its side (FIN).
   * - `ERR_DEADLINE`: the deadline passed.
   * - `ERR_FREED`: `free` was called.
   * - `ERR_CLOSED`: the watcher was closed, or the connection is.
   * - the system's, such as `ECONNRESET`.
   */
  readonly code: string;
}

/** How one operation ended. */
export interface Result<Peer extends Watchable = Connection> {
  readonly operation: 'read' | 'write';
  /** What the operation was submitted with. */
  readonly connection: Peer;
  readonly context: unknown;
  /**
   * Read: the buffer that was given, or, where none was, `size` bytes of the watcher's memory, valid until the next
   * batch is asked for (then `isShared` is true). Write: the buffer that was given; it is the user's again.
   */
  readonly buffer: Uint8Array;
  readonly isShared: boolean;
  /**
   * Read: bytes received. Write: bytes of the buffer that are in the stream; without an error that is all of them, and
   * the kernel has them. The next byte to be sent, if at all, is `buffer[size]`.
   */
  readonly size: number;
  readonly error: OperationError | undefined;
}

export interface WatcherOptions {
  /**
   * Bytes that reads without a buffer share in one batch. There are two such pieces, and pages that are not used cost
   * nothing. 1,048,576; at least 65,536.
   */
  sharedBytes?: number;
  /** Results that may wait to be taken: with more, reading stops; deadlines go on. 16,384. */
  resultsMax?: number;
  /** Operations without a result, and results not taken, together. 262,144. */
  operationsMax?: number;
}

export interface WatcherStats {
  /** Connections of this watcher that are open. */
  readonly connections: number;
  /** Operations without a result. */
  readonly operations: number;
  /** Results that were not taken. */
  readonly results: number;
  /** Bytes that came with others and that no read has asked for yet. */
  readonly heldBytes: number;
  /** Batches taken. */
  readonly batches: number;
  /** Deadlines that passed. */
  readonly deadlines: number;
  /** Submissions refused with `full`. */
  readonly refused: number;
  /** Connections whose object became garbage while they were open, and those of them that are closed by now. */
  readonly leaksFound: number;
  readonly leaksClosed: number;
}
