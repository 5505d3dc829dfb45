/**
 * What a trial knows of each connection, and the checks that do not depend on what the handler does: bytes are a prefix
 * of what the other side sent, callbacks come in order, each exactly once, none after the close, and what `write` took
 * is what the kernel got plus what the close reason says was not sent.
 */

import assert from 'node:assert/strict';

import type { CloseReason, Connection, WriteResult } from '../../src/api.js';

/** Bytes of a peer's own number at the start of its stream. */
export const NONCE_BYTES = 4;

/** The byte at a place of the stream of one peer; the first four are the peer's number. */
export function streamByte(nonce: number, at: number): number {
  if (at < NONCE_BYTES) {
    return (nonce >>> (at * 8)) & 255;
  }
  let x = Math.imul(nonce ^ Math.imul(at + 1, 0x9e3779b1), 0x85ebca6b);
  x ^= x >>> 15;
  return Math.imul(x, 0xc2b2ae35) >>> 24;
}

/** A piece of a stream. */
export function streamBytes(nonce: number, from: number, byteLength: number): Buffer {
  const bytes = Buffer.allocUnsafe(byteLength);
  for (let i = 0; i < byteLength; i += 1) {
    bytes[i] = streamByte(nonce, from + i);
  }
  return bytes;
}

/** Throws unless `bytes` is the stream of `nonce` from `at` on. */
export function checkStream(nonce: number, at: number, bytes: Uint8Array, where: string): void {
  for (let i = 0; i < bytes.byteLength; i += 1) {
    if (bytes[i] !== streamByte(nonce, at + i)) {
      assert.fail(`${where}: byte ${at + i} of stream ${nonce} is wrong`);
    }
  }
}

/** One connection of the reactor's, as its handler sees it. */
export class Entry {
  readonly connection: Connection;
  /** The peer's number, once four bytes have come. */
  nonce = -1;
  received = 0;
  /** Bytes that `write` took. */
  taken = 0;
  /** Bytes of the source's stream written so far, and how many there are to be. */
  written = 0;
  goal = 0;
  ended = 0;
  closed = 0;
  /** close, abort or end was called, or a hook threw: no data may follow but for `end`. */
  isFinished = false;
  owned = 0;
  freed = 0;
  receipts = 0;
  receiptsFired = 0;
  /** The most bytes of one write. */
  largestWrite = 0;
  /** Made by a dial of the handler's. */
  readonly isDialed: boolean;
  /** The handler leaves nothing unread. */
  readsAll = true;
  /** The connection's own counts, as they were in onClose. */
  bytesSent = 0;
  bytesReceived = 0;
  reason: CloseReason | undefined;
  /** Virtual milliseconds. */
  closedAt = 0;
  readonly #head = Buffer.alloc(NONCE_BYTES);

  constructor(connection: Connection, isDialed: boolean) {
    this.connection = connection;
    this.isDialed = isDialed;
  }

  /** Checks what was received, in order. */
  take(bytes: Uint8Array): void {
    this.alive('data');
    assert.equal(this.ended, 0, 'data after the end');
    assert.equal(this.isFinished, false, 'data after close or abort');
    for (let i = 0; i < bytes.byteLength && this.received + i < NONCE_BYTES; i += 1) {
      this.#head[this.received + i] = bytes[i];
    }
    const before = this.received;
    this.received += bytes.byteLength;
    if (this.nonce < 0 && this.received >= NONCE_BYTES) {
      this.nonce = this.#head.readUInt32LE(0);
    }
    if (this.nonce >= 0) {
      const skip = Math.max(0, NONCE_BYTES - before);
      checkStream(this.nonce, before + skip, bytes.subarray(skip), 'received by the reactor');
    }
  }

  alive(what: string): void {
    assert.equal(this.closed, 0, `${what} after the close`);
  }

  /** Notes a write's result. */
  wrote(result: WriteResult, byteLength: number): WriteResult {
    if (result === 'sent' || result === 'queued') {
      this.taken += byteLength;
      this.largestWrite = Math.max(this.largestWrite, byteLength);
    }
    return result;
  }

  close(reason: CloseReason): void {
    this.alive('close');
    this.closed += 1;
    this.reason = reason;
    this.closedAt = this.connection.reactor.now;
    this.bytesSent = this.connection.bytesSent;
    this.bytesReceived = this.connection.bytesReceived;
    assert.equal(
      this.connection.bytesSent + reason.unsentBytes,
      this.taken,
      `${this.taken} bytes were taken by write, reason ${reason.code}`,
    );
    assert.equal(this.connection.bytesReceived >= this.received, true);
    assert.equal(this.connection.write('late'), 'closed');
  }

  /** When everything is over. */
  finish(): void {
    assert.equal(this.closed, 1, 'exactly one close');
    assert.equal(this.freed, this.owned, 'onFree once for each owned buffer');
    assert.equal(this.receiptsFired, this.receipts, 'each receipt once');
  }
}

/** All connections of a trial. */
export class Ledger {
  readonly entries: Entry[] = [];

  open(connection: Connection, isDialed = false): Entry {
    const entry = new Entry(connection, isDialed);
    connection.context = entry;
    this.entries.push(entry);
    return entry;
  }

  finish(): void {
    for (const entry of this.entries) {
      entry.finish();
    }
  }
}

export function entryOf(connection: Connection): Entry {
  return connection.context as Entry;
}
