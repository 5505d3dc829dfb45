/**
 * Ciphertext from the transport to the user. All that arrived is decrypted at once into the pipe's region, and reported
 * in one piece. What cannot be reported, because the user paused, is kept in the connection's reader; the transport is
 * paused then, so that this is at most what one batch of the driver brought.
 */

import type { Action, Connection } from '../api.js';
import { type OpenSslCalls, takeErrors } from '../base/openssl.js';
import { ConnectionReader } from '../connection/stream.js';
import { closeAfterStall, closeAs, finishAfterEnd } from './closing.js';
import {
  BLOCKED,
  CLOSING,
  DRAIN_DUE,
  END_OWED,
  FILING,
  GONE,
  PAUSED,
  PEER_ENDED,
  READ_FULL,
  RECALLED,
  STALLED,
  WOKEN,
} from './connection-flags.js';
import { pumpFiles } from './file-pump.js';
import { dropGathered, failConnection } from './giving-up.js';
import { poolOf } from './limits.js';
import { clearPause, recall, setPause } from './pause.js';
import { FEED_BYTES, PLAIN_BYTES } from './pipe.js';
import { rareOf } from './rare.js';
import { walkRecords } from './record-walk.js';
import type { TlsConnection } from './tls-connection.js';
import { TlsError } from './tls-error.js';
import { flush, onTransportDrain, retryStalled, sendWritten } from './write-path.js';

/** Of SSL_get_error and of SSL_want. */
const ERROR_WANT_READ = 2;
const READING = 3;
const RECEIVED_SHUTDOWN = 2;
const NO_BYTES = Buffer.alloc(0);
/** Decrypted at a time. */
const RECORDS_MAX = 32;
/**
 * Records without data, such as key updates, that are taken beside those with data: so many at once, and one more for
 * each so many with data. Nobody needs them often: a key is good for 2^24 records (RFC 8446 section 5.5).
 */
const IDLE_RECORDS_MAX = 64;
const RECORDS_FOR_IDLE = 16;

export function readerOf(c: TlsConnection): ConnectionReader {
  c.reading ??= new ConnectionReader(poolOf(c.base));
  return c.reading;
}

/** Bytes of the transport, after the handshake; none if it only calls back. */
export function receive(c: TlsConnection, bytes: Uint8Array): void {
  if ((c.flags & RECALLED) !== 0) {
    c.flags &= ~RECALLED;
    onRecall(c);
  }
  let at = 0;
  while (at < bytes.length && mayDecrypt(c)) {
    const to = Math.min(bytes.length, at + FEED_BYTES);
    const end = walkRecords(
      c,
      to === bytes.length ? bytes : bytes.subarray(0, to),
      at,
      RECORDS_MAX,
    );
    c.pipe.load(bytes, at, end);
    at = end;
    decrypt(c);
  }
}

/** After a close nothing is wanted any more, unless it lets go what was written before. */
function mayDecrypt({ flags }: TlsConnection): boolean {
  return (flags & (GONE | PEER_ENDED)) === 0 && (flags & (CLOSING | STALLED)) !== CLOSING;
}

/** Decrypts what is loaded, and reports it. */
function decrypt(c: TlsConnection): void {
  const { pipe } = c;
  const { calls, plain } = pipe;
  const { ssl } = c;
  let total = 0;
  let reads = 0;
  let n = 1;
  while (n > 0 && pipe.unread > 0) {
    n = calls.SSL_read(ssl, plain.address + total, PLAIN_BYTES - total);
    if (n > 0) {
      total += n;
      reads += 1;
    }
  }
  let isEnded = false;
  let error: TlsError | undefined;
  if (n <= 0 && !needsMore(calls, ssl, n)) {
    const shutdown = calls.SSL_get_shutdown(ssl) & RECEIVED_SHUTDOWN;
    // An alert that is fatal counts as a shutdown too, but leaves the connection unfinished.
    if (shutdown !== 0 && calls.SSL_is_init_finished(ssl) === 1) {
      isEnded = true;
    } else {
      const reason = takeErrors(calls)[0] ?? 'OpenSSL gives no reason';
      error = new TlsError('ERR_TLS_PROTOCOL', 'The TLS connection failed', reason);
    }
  }
  // What follows an end or a failure.
  pipe.drop();
  // Answers to the peer's own messages, and alerts.
  sendWritten(c);
  if ((c.flags & STALLED) !== 0 && error === undefined && retryStalled(c)) {
    if ((c.flags & FILING) !== 0) {
      pumpFiles(c);
    } else {
      closeAfterStall(c);
    }
  }
  if (total > 0) {
    c.bytesReceived += total;
    deliver(c, pipe.received(total));
  }
  if (isEnded) {
    c.flags |= PEER_ENDED | END_OWED;
    reportEnd(c);
  } else if (error !== undefined) {
    failConnection(c, error);
  } else if (c.recordsEnded > reads || c.idleRecords > 0) {
    countIdleRecords(c, reads);
  }
}

/** Each read takes the data of one record: the other records of the batch carried none. */
function countIdleRecords(c: TlsConnection, reads: number): void {
  const idle = c.idleRecords + (c.recordsEnded - reads) * RECORDS_FOR_IDLE - reads;
  c.idleRecords = Math.max(0, idle);
  if (idle > IDLE_RECORDS_MAX * RECORDS_FOR_IDLE) {
    failConnection(
      c,
      new TlsError('ERR_TLS_PROTOCOL', 'The peer sends records that carry nothing'),
    );
  }
}

/**
 * Whether a read only waits for the rest of a record. The error queue is the thread's, and not cleared before each
 * read, which would cost as much as the read; so where it says that something failed, it is asked whether that was
 * here.
 */
function needsMore(calls: OpenSslCalls, ssl: number, result: number): boolean {
  if (calls.SSL_get_error(ssl, result) === ERROR_WANT_READ) {
    return true;
  }
  if (calls.SSL_want(ssl) === READING && calls.SSL_is_init_finished(ssl) === 1) {
    calls.ERR_clear_error();
    return true;
  }
  return false;
}

function deliver(c: TlsConnection, bytes: Buffer): void {
  const { layer } = c;
  if ((c.flags & (CLOSING | GONE)) !== 0) {
    return;
  }
  const consumer = c.rare?.consumer;
  if (consumer !== undefined) {
    consumer.push(Buffer.from(bytes));
  } else if ((c.flags & PAUSED) !== 0) {
    keep(c, bytes);
  } else if (layer.onReadable !== undefined) {
    readerOf(c).borrow(bytes);
    runReadable(c);
  } else if (c.reading !== undefined && c.reading.length > 0) {
    keep(c, bytes);
    recall(c);
  } else if (layer.onData !== undefined) {
    runData(c, bytes);
  }
}

/** Keeps bytes that cannot be reported now. */
export function keep(c: TlsConnection, bytes: Buffer): void {
  const fits = readerOf(c).append(bytes);
  if (!fits || c.reading!.length > c.limits.readQueueMax) {
    setPause(c, READ_FULL);
  }
}

export function enter(c: TlsConnection): void {
  c.pipe.current = c;
}

/** After a hook: sends what it wrote, and carries out what it returned. */
export function leave(c: TlsConnection, action: Action | void): void {
  c.pipe.current = undefined;
  flush(c);
  if (action === 'close') {
    closeAs(c, 'closed');
  } else if (action === 'shutdown') {
    c.layer.wantShutdown();
  }
}

/** A hook threw: what it wrote is dropped with its connection, which the transport aborts when it sees the error. */
export function leaveThrown(c: TlsConnection): void {
  c.pipe.current = undefined;
  dropGathered(c);
  c.flags |= GONE;
}

/** A hook that is given the connection alone. */
export function callHook(c: TlsConnection, hook: (connection: Connection) => Action | void): void {
  let action: Action | void;
  enter(c);
  try {
    action = hook.call(c.layer.inner, c);
  } catch (error) {
    leaveThrown(c);
    throw error;
  }
  leave(c, action);
}

function runData(c: TlsConnection, bytes: Buffer): void {
  let action: Action | void;
  enter(c);
  try {
    action = c.layer.onData!.call(c.layer.inner, c, bytes);
  } catch (error) {
    leaveThrown(c);
    throw error;
  }
  leave(c, action);
}

function runReadable(c: TlsConnection): void {
  const reader = readerOf(c);
  const before = reader.length;
  let action: Action | void;
  enter(c);
  try {
    action = c.layer.onReadable!.call(c.layer.inner, c);
  } catch (error) {
    leaveThrown(c);
    throw error;
  }
  leave(c, action);
  const fits = reader.settle();
  const { length } = reader;
  if (length > 0 && length < before) {
    recall(c);
  } else if ((!fits || length > c.limits.readQueueMax) && (c.flags & PAUSED) === 0) {
    // It waits for more than it may have: it would wait for ever.
    if ((c.flags & (CLOSING | GONE)) === 0) {
      rareOf(c).reason = { code: 'overflow', error: undefined };
      c.flags |= GONE;
      c.base.abort();
    }
    return;
  }
  if (length > c.limits.readQueueMax) {
    setPause(c, READ_FULL);
  } else {
    clearPause(c, READ_FULL);
  }
}

/** What was put off: a drain, a wake, kept bytes, the peer's end. */
function onRecall(c: TlsConnection): void {
  const { layer } = c;
  const isWoken = (c.flags & WOKEN) !== 0;
  c.flags &= ~WOKEN;
  if ((c.flags & (CLOSING | GONE)) !== 0) {
    return;
  }
  if ((c.flags & DRAIN_DUE) !== 0) {
    reportDrain(c);
  }
  const unread = c.reading?.length ?? 0;
  const mayRead = (c.flags & PAUSED) === 0;
  if (layer.onReadable !== undefined) {
    if (isWoken || (unread > 0 && mayRead)) {
      runReadable(c);
    }
  } else if (unread > 0 && mayRead) {
    const bytes = c.reading!.readCopy(unread)!;
    clearPause(c, READ_FULL);
    if (layer.onData !== undefined) {
      runData(c, bytes);
    }
  } else if (isWoken && layer.onData !== undefined) {
    runData(c, NO_BYTES);
  }
  reportEnd(c);
}

/** The peer's close_notify, after the bytes that came before it. */
export function reportEnd(c: TlsConnection): void {
  const { layer, flags } = c;
  const isPush = layer.onReadable === undefined;
  if ((flags & END_OWED) === 0 || (flags & (PAUSED | RECALLED | GONE)) !== 0) {
    return;
  }
  if (isPush && (c.reading?.length ?? 0) > 0) {
    return;
  }
  c.flags &= ~END_OWED;
  c.rare?.consumer?.end();
  if (layer.onEnd !== undefined && (flags & CLOSING) === 0) {
    callHook(c, layer.onEnd);
  }
  finishAfterEnd(c);
}

/** The transport drained: tells the handler, unless it has refused again meanwhile. */
export function reportDrain(c: TlsConnection): void {
  const { layer } = c;
  if (!onTransportDrain(c) || (c.flags & (CLOSING | GONE | BLOCKED)) !== 0) {
    if ((c.flags & FILING) !== 0) {
      pumpFiles(c);
    }
    return;
  }
  if (layer.onDrain !== undefined) {
    callHook(c, layer.onDrain);
  }
}
