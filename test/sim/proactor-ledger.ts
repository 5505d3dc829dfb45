/**
 * What a trial of the proactor knows of each operation, and the checks of its result: exactly one, in order in its
 * direction, with the bytes that the peer sent, and with an error only for a reason that there was.
 */

import assert from 'node:assert/strict';

import type { Connection } from '../../src/api.js';
import type { Result } from '../../src/proactor/api.js';
import { type Kind, READ_FULL, WRITE } from '../../src/proactor/operation.js';
import { checkStream, NONCE_BYTES, streamBytes } from './trial-ledger.js';

/** Bytes that are held without a pause (reads.ts), beside a receive and what the kernel received ahead. */
const HELD_MAX = 16_384;

export interface Intent {
  readonly session: Session;
  readonly kind: Kind;
  readonly number: number;
  readonly buffer: Buffer | undefined;
  /** On the clock of the connection's reactor; 0: none. */
  readonly due: number;
}

/** One connection of the proactor's. */
export class Session {
  readonly connection: Connection;
  readonly pending = new Set<Intent>();
  /** By number of the write: what of it is in the stream. */
  readonly #written: Buffer[] = [];
  /** Bytes of the peer's that came in results. */
  read = 0;
  /** The peer's number, once four bytes have come. */
  nonce = -1;
  readonly #head = Buffer.alloc(NONCE_BYTES);
  #submitted = 0;
  #lastDone = -1;
  readonly #last = { read: -1, write: -1 };
  isFreed = false;
  hasEnded = false;
  /** Bytes given to pending reads with a buffer, and to come in their results, are not held. */
  received: () => number;

  constructor(connection: Connection, received: () => number) {
    this.connection = connection;
    this.received = received;
  }

  intend(kind: Kind, byteLength: number, deadlineMs: number): Intent {
    const number = this.#submitted;
    this.#submitted += 1;
    const due = deadlineMs === 0 ? 0 : this.connection.reactor.now + deadlineMs;
    let buffer: Buffer | undefined;
    if (kind === WRITE) {
      buffer = streamBytes(number, NONCE_BYTES, byteLength);
    } else if (byteLength > 0) {
      buffer = Buffer.alloc(byteLength);
    }
    return { session: this, kind, number, buffer, due };
  }

  /** Bytes that the kernel has: those of the last write that was done, and all before it. */
  get sent(): number {
    const writes = this.#written.slice(0, this.#lastDone + 1);
    return writes.reduce((sum, bytes) => sum + (bytes?.byteLength ?? 0), 0);
  }

  /** What the peer is to get, in the order in which it was submitted. */
  get written(): Buffer {
    return Buffer.concat(this.#written.filter((bytes) => bytes !== undefined));
  }

  /** The result of an operation. */
  note(result: Result): void {
    const intent = result.context as Intent;
    const { size, error, operation } = result;
    assert.ok(this.pending.delete(intent), `${operation} ${intent.number} has two results`);
    assert.equal(result.connection, this.connection);
    assert.equal(operation, intent.kind === WRITE ? 'write' : 'read');
    assert.equal(result.isShared, intent.buffer === undefined);
    if (intent.buffer !== undefined) {
      assert.equal(result.buffer, intent.buffer);
    } else if (error === undefined) {
      assert.equal(result.buffer.byteLength, size);
    }
    this.#checkError(intent, error?.code);
    if (error === undefined) {
      this.#checkDone(intent, size);
    }
    if (error === undefined || error.code === 'ERR_END') {
      // Deadlines take out whatever is due, and `free` what the connection does not have yet.
      assert.ok(intent.number > this.#last[operation], `${operation} ${intent.number} overtook`);
      this.#last[operation] = intent.number;
    }
    if (intent.kind === WRITE) {
      this.#written[intent.number] = intent.buffer!.subarray(0, size);
      this.#lastDone = error === undefined ? intent.number : this.#lastDone;
    } else {
      this.#take(result.buffer.subarray(0, size));
    }
  }

  #checkDone(intent: Intent, size: number): void {
    const { kind, buffer } = intent;
    if (kind === WRITE || kind === READ_FULL) {
      assert.equal(size, buffer!.byteLength, 'all of it');
    } else {
      assert.ok(size > 0 && size <= (buffer?.byteLength ?? Number.POSITIVE_INFINITY));
    }
    assert.equal(this.hasEnded && kind !== WRITE, false, 'bytes after the end');
  }

  #checkError({ due, kind }: Intent, code: string | undefined): void {
    if (code === 'ERR_DEADLINE') {
      assert.ok(due > 0 && due <= this.connection.reactor.now, 'a deadline before its time');
    } else if (code === 'ERR_FREED') {
      assert.ok(this.isFreed, 'freed by nobody');
    } else if (code === 'ERR_END') {
      assert.notEqual(kind, WRITE);
      this.hasEnded = true;
    }
  }

  #take(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.byteLength && this.read + i < NONCE_BYTES; i += 1) {
      this.#head[this.read + i] = bytes[i]!;
    }
    const skip = Math.max(0, NONCE_BYTES - this.read);
    this.read += bytes.byteLength;
    if (this.nonce < 0 && this.read >= NONCE_BYTES) {
      this.nonce = this.#head.readUInt32LE(0);
    }
    if (this.nonce >= 0 && bytes.byteLength > skip) {
      const from = this.read - bytes.byteLength + skip;
      checkStream(this.nonce, from, bytes.subarray(skip), 'read by the proactor');
    }
  }

  /** Nothing is read that was not asked for, but for what was under way. */
  checkHeld(aheadMax: number): void {
    let asked = 0;
    for (const { kind, buffer } of this.pending) {
      asked += kind === WRITE ? 0 : (buffer?.byteLength ?? aheadMax);
    }
    const unread = this.received() - this.read;
    assert.ok(unread <= asked + aheadMax + HELD_MAX, `${unread} bytes were read for nobody`);
  }
}
