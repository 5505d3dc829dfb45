/**
 * Plaintext from the user to the transport. What a hook writes to its own connection is gathered in the pipe and
 * encrypted together when the hook returns, as is what is written under a cork; other writes are encrypted at once. The
 * ciphertext is written to the transport, whose queue and limits are those of the connection.
 *
 * What is encrypted cannot be taken back. So a write that would pass the transport's cap is refused before; and if the
 * transport refuses ciphertext nevertheless, it is held here, nothing more is taken, and nothing more is read (answers
 * to the peer's own messages would add to it), until the transport has drained.
 */

import type { WriteResult } from '../api.js';
import { takeErrors } from '../base/openssl.js';
import type { LinkedBuffer } from '../connection/linked-buffer.js';
import { WHEN_FULL_REFUSE } from '../connection/profile.js';
import {
  BLOCKED,
  CLOSE_WANTED,
  CORKED,
  DRAIN_DUE,
  DRAIN_WATCHED,
  FILING,
  FIN_WANTED,
  GONE,
  HELD,
  NO_WRITE,
  OPENED,
  STALLED,
} from './connection-flags.js';
import { failConnection } from './giving-up.js';
import { clearPause, recall, setPause } from './pause.js';
import { GATHER_BYTES, type Pipe } from './pipe.js';
import { rareOf } from './rare.js';
import { current } from './separation.js';
import type { TlsConnection } from './tls-connection.js';
import { TlsError } from './tls-error.js';

/** A record's header, nonce, tag and content type, and how much plaintext it holds at most. */
const RECORD_OVERHEAD = 32;
const RECORD_PLAIN_MAX = 16_384;
/** Of SSL_get_error. */
const ERROR_WANT_READ = 2;

export function write(c: TlsConnection, bytes: Uint8Array): WriteResult {
  const refusal = refuse(c, bytes.length);
  return refusal ?? (push(c, bytes) ? queuedOrSent(c) : 'closed');
}

export function writev(c: TlsConnection, pieces: readonly Uint8Array[]): WriteResult {
  let byteLength = 0;
  for (const piece of pieces) {
    byteLength += piece.length;
  }
  const refusal = refuse(c, byteLength);
  if (refusal !== undefined) {
    return refusal;
  }
  // One record for all of them, if they fit.
  const wasCorked = (c.flags & CORKED) !== 0;
  c.flags |= CORKED;
  for (const piece of pieces) {
    push(c, piece);
  }
  if (!wasCorked) {
    c.flags &= ~CORKED;
    if (c.pipe.current !== c) {
      flush(c);
    }
  }
  return queuedOrSent(c);
}

/** The blocks of a writer. */
export function writeLinked(c: TlsConnection, buffer: LinkedBuffer): WriteResult {
  const refusal = refuse(c, buffer.byteLength);
  if (refusal !== undefined) {
    return refusal;
  }
  const wasCorked = (c.flags & CORKED) !== 0;
  c.flags |= CORKED;
  while (buffer.byteLength > 0) {
    const head = buffer.head!;
    push(c, head.bytes.subarray(head.start, head.end));
    buffer.drop(head.end - head.start);
  }
  buffer.release();
  if (!wasCorked) {
    c.flags &= ~CORKED;
    if (c.pipe.current !== c) {
      flush(c);
    }
  }
  return queuedOrSent(c);
}

/** Why a write of so many bytes cannot be taken, if so. One write on an empty queue always is. */
function refuse(c: TlsConnection, byteLength: number): WriteResult | undefined {
  if ((c.flags & (NO_WRITE | OPENED)) !== OPENED || c.ssl === 0) {
    return 'closed';
  }
  if ((c.flags & (HELD | STALLED | FILING)) === 0) {
    if (c.limits.whenFull !== WHEN_FULL_REFUSE) {
      // The transport has a policy of its own for what passes the cap.
      return undefined;
    }
    const queued = queuedBytes(c);
    const records = 1 + Math.floor(byteLength / RECORD_PLAIN_MAX);
    const added = byteLength + records * RECORD_OVERHEAD;
    if (queued === 0 || byteLength === 0 || queued + added <= c.limits.writeQueueMax) {
      return undefined;
    }
  }
  c.flags |= BLOCKED;
  if ((c.flags & (STALLED | FILING)) === 0) {
    watchDrain(c);
  }
  return 'full';
}

/** What was accepted and is not with the kernel: gathered, stalled, held, or in the transport's queue. */
export function queuedBytes(c: TlsConnection): number {
  const { pipe, rare } = c;
  const gathered = pipe.gathering === c ? pipe.gathered : 0;
  const waiting = rare === undefined ? 0 : rare.heldBytes + rare.stalledBytes;
  return c.base.queuedBytes + gathered + waiting;
}

function queuedOrSent(c: TlsConnection): WriteResult {
  return c.pipe.gathering === c || c.wasQueued ? 'queued' : 'sent';
}

/** Takes the bytes; false when the connection is gone. */
function push(c: TlsConnection, bytes: Uint8Array): boolean {
  const { pipe } = c;
  const { length: byteLength } = bytes;
  c.bytesSent += byteLength;
  if (byteLength === 0) {
    return true;
  }
  if (pipe.gathering !== c) {
    flushGathered(pipe);
  }
  const isGathered = pipe.current === c || (c.flags & CORKED) !== 0;
  let at = 0;
  while (at < byteLength && (c.flags & GONE) === 0) {
    const n = Math.min(byteLength - at, GATHER_BYTES - pipe.gathered);
    const isWhole = n === byteLength;
    pipe.gather.bytes.set(isWhole ? bytes : bytes.subarray(at, at + n), pipe.gathered);
    pipe.gathering = c;
    pipe.gathered += n;
    at += n;
    if (pipe.gathered === GATHER_BYTES || !isGathered) {
      flush(c);
    }
  }
  return (c.flags & GONE) === 0;
}

/** Encrypts and sends what is gathered in the pipe, whosever it is. */
export function flushGathered(pipe: Pipe): void {
  if (pipe.gathering !== undefined) {
    flush(pipe.gathering);
  }
}

/** Encrypts and sends what was gathered of this connection. */
export function flush(c: TlsConnection): void {
  const { pipe } = c;
  if (pipe.gathering !== c) {
    return;
  }
  const n = pipe.gathered;
  pipe.gathering = undefined;
  pipe.gathered = 0;
  if (c.ssl === 0 || (c.flags & GONE) !== 0) {
    return;
  }
  if ((c.flags & STALLED) !== 0 || !encrypt(c, n)) {
    stall(c, n);
    return;
  }
  sendWritten(c);
}

/** Encrypts the first `n` gathered bytes; false when OpenSSL wants to read first. */
function encrypt(c: TlsConnection, n: number): boolean {
  const { pipe, ssl } = c;
  const { calls } = pipe;
  let written = calls.SSL_write(ssl, pipe.gather.address, n);
  if (written !== n && calls.SSL_get_error(ssl, written) !== ERROR_WANT_READ) {
    // The error may be somebody else's, left in the thread's queue: once more with an empty one.
    calls.ERR_clear_error();
    written = calls.SSL_write(ssl, pipe.gather.address, n);
  }
  if (written === n) {
    return true;
  }
  if (calls.SSL_get_error(ssl, written) !== ERROR_WANT_READ) {
    const reason = takeErrors(pipe.calls).at(-1) ?? 'OpenSSL took none of it';
    failConnection(c, new TlsError('ERR_TLS_PROTOCOL', 'Cannot encrypt', reason));
  }
  return false;
}

/** Keeps the first `n` gathered bytes until OpenSSL takes them. */
function stall(c: TlsConnection, n: number): void {
  if ((c.flags & GONE) !== 0) {
    return;
  }
  const rare = rareOf(c);
  rare.stalled.push(Buffer.from(c.pipe.gather.bytes.subarray(0, n)));
  rare.stalledBytes += n;
  c.wasQueued = true;
  c.flags |= STALLED | BLOCKED;
}

/** Something was received: tries again. True if nothing is stalled any more. */
export function retryStalled(c: TlsConnection): boolean {
  const { pipe } = c;
  const rare = rareOf(c);
  flushGathered(pipe);
  c.flags &= ~STALLED;
  rare.stalledBytes = 0;
  for (const piece of rare.stalled.splice(0)) {
    pipe.gather.bytes.set(piece);
    pipe.gathering = c;
    pipe.gathered = piece.length;
    flush(c);
  }
  if ((c.flags & (STALLED | GONE)) !== 0) {
    return false;
  }
  if ((c.flags & (HELD | FILING)) === 0) {
    passReceipts(c);
    watchDrain(c);
  }
  return true;
}

/** What waited for what is held, stalled or in a file. */
export function passReceipts(c: TlsConnection): void {
  for (const callback of rareOf(c).receipts.splice(0)) {
    c.base.receipt(callback);
  }
}

/** Calls back when what is encrypted now is with the system, and not from within a write of ours. */
export function tell(c: TlsConnection, callback: (handedOver: boolean) => void): void {
  // The transport may call back from within a write of ours, when the pipe is in use.
  const told = (handedOver: boolean) => {
    if (c.pipe.isSending) {
      c.base.reactor.execute(() => callback(handedOver));
    } else {
      callback(handedOver);
    }
  };
  if ((c.flags & GONE) === 0 && (c.flags & (HELD | STALLED)) !== 0) {
    rareOf(c).receipts.push(told);
  } else {
    c.base.receipt(told);
  }
}

/** Sends the ciphertext that OpenSSL wrote. */
export function sendWritten(c: TlsConnection): void {
  const { pipe } = c;
  if (pipe.written === 0) {
    return;
  }
  const bytes = pipe.take();
  if ((c.flags & HELD) !== 0) {
    hold(c, bytes);
    return;
  }
  pipe.isSending = true;
  const result = c.transportWrite.call(c.base, bytes);
  pipe.isSending = false;
  c.wasQueued = result !== 'sent';
  if (result === 'full') {
    setPause(c, HELD);
    hold(c, bytes);
  } else if (result === 'closed') {
    c.flags |= GONE;
  }
}

function hold(c: TlsConnection, bytes: Buffer): void {
  const rare = rareOf(c);
  rare.held.push(Buffer.from(bytes));
  rare.heldBytes += bytes.length;
  c.wasQueued = true;
  c.flags |= BLOCKED;
}

/** Below its low-water mark the transport takes again: first what is held. True once nothing is. */
function sendHeld(c: TlsConnection): boolean {
  if ((c.flags & HELD) === 0) {
    return true;
  }
  const rare = rareOf(c);
  while (rare.held.length > 0) {
    const piece = rare.held[0]!;
    const result = c.transportWrite.call(c.base, piece);
    if (result === 'full') {
      return false;
    }
    rare.held.shift();
    rare.heldBytes -= piece.length;
    if (result === 'closed') {
      c.flags |= GONE;
      return false;
    }
  }
  clearPause(c, HELD);
  if ((c.flags & FILING) !== 0) {
    return true;
  }
  if ((c.flags & CLOSE_WANTED) !== 0) {
    c.base.close();
  } else if ((c.flags & FIN_WANTED) !== 0) {
    c.base.end();
  }
  passReceipts(c);
  return true;
}

/** The transport is below its low-water mark. True when the handler is to be told. */
export function onTransportDrain(c: TlsConnection): boolean {
  if (!sendHeld(c) || (c.flags & (STALLED | FILING)) !== 0) {
    return false;
  }
  c.flags &= ~(BLOCKED | DRAIN_DUE);
  for (const resolve of c.rare?.waiters.splice(0) ?? []) {
    resolve(true);
  }
  return true;
}

/** A write was refused though the transport's queue is below its mark, so that it may owe no `onDrain`. */
export function watchDrain(c: TlsConnection): void {
  if ((c.flags & (HELD | DRAIN_WATCHED)) !== 0) {
    return;
  }
  c.flags |= DRAIN_WATCHED;
  const onDrained = (isOpen: boolean) => {
    const now = current(c);
    now.flags &= ~DRAIN_WATCHED;
    // Unless the transport's own onDrain was first.
    if (isOpen && (now.flags & BLOCKED) !== 0) {
      now.flags |= DRAIN_DUE;
      recall(now);
    }
  };
  if (c.base.queuedBytes > c.limits.lowWaterMark) {
    void c.base.drained().then(onDrained);
  } else {
    // Too large beside the little that is queued: it can be taken when nothing is.
    flush(c);
    c.base.receipt(onDrained);
  }
}
