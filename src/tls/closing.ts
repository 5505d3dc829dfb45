/**
 * How a TLS connection ends. In order: close_notify and FIN, from one side or both (`end`, `close`). By FIN alone, which
 * may be an attacker's, and is reported as truncation. By a failure, whose alert is sent. OpenSSL's object is freed in
 * one place, when the transport reports its close, or when a handshake fails.
 */

import type { Action, CloseReason } from '../api.js';
import { census } from '../base/openssl.js';
import {
  CLOSE_WANTED,
  CLOSING,
  END_OWED,
  END_SENT,
  FIN_WANTED,
  GONE,
  HELD,
  NO_WRITE,
  OPENED,
  PEER_ENDED,
} from './connection-flags.js';
import { failHandshake } from './handshake.js';
import { rareOf } from './rare.js';
import type { TlsConnection } from './tls-connection.js';
import { TlsError } from './tls-error.js';
import { dropGathered, flush, sendWritten } from './write-path.js';

/** close_notify and FIN after what is queued. */
export function end(c: TlsConnection): void {
  if ((c.flags & NO_WRITE) !== 0) {
    return;
  }
  flush(c);
  sendCloseNotify(c);
  if ((c.flags & HELD) !== 0) {
    c.flags |= FIN_WANTED;
  } else {
    c.base.end();
  }
  if ((c.flags & (PEER_ENDED | END_OWED)) === PEER_ENDED) {
    closeAs(c, 'ended');
  }
}

/** Graceful close for the given reason. */
export function closeAs(c: TlsConnection, code: 'closed' | 'ended'): void {
  if ((c.flags & (CLOSING | GONE)) !== 0) {
    return;
  }
  flush(c);
  if ((c.flags & GONE) !== 0) {
    return;
  }
  c.flags |= CLOSING;
  if (code !== 'closed') {
    rareOf(c).reason = { code, error: undefined };
  }
  if (c.handshake !== undefined) {
    c.base.abort();
    return;
  }
  sendCloseNotify(c);
  if ((c.flags & HELD) === 0) {
    c.base.close();
  } else {
    c.flags |= CLOSE_WANTED;
    const { lingerTimeoutMs } = c.limits;
    if (lingerTimeoutMs > 0) {
      c.base.setTimer(lingerTimeoutMs, (base) => base.abort());
    }
  }
}

function sendCloseNotify(c: TlsConnection): void {
  if ((c.flags & (END_SENT | GONE)) !== 0 || c.ssl === 0) {
    return;
  }
  c.flags |= END_SENT;
  const { calls } = c.pipe;
  if (calls.SSL_shutdown(c.ssl) < 0) {
    calls.ERR_clear_error();
  }
  sendWritten(c);
}

/** The peer's end was reported: what follows from it. */
export function finishAfterEnd(c: TlsConnection): void {
  if ((c.flags & END_SENT) !== 0 || !c.limits.allowHalfOpen) {
    closeAs(c, 'ended');
  }
}

/** Gives up after the handshake: the alert is on its way, nothing else is sent or reported. */
export function failConnection(c: TlsConnection, error: TlsError): void {
  if ((c.flags & GONE) !== 0) {
    return;
  }
  dropGathered(c);
  c.layer.stats.protocolErrors += 1;
  c.flags |= GONE;
  rareOf(c).reason = { code: 'error', error };
  c.base.close();
}

/** The transport's FIN. */
export function onTransportEnd(c: TlsConnection): void {
  if (c.handshake !== undefined) {
    const reason = 'the peer ended the connection';
    failHandshake(c, new TlsError('ERR_TLS_HANDSHAKE', 'The TLS handshake failed', reason), true);
    return;
  }
  if ((c.flags & (GONE | CLOSING | PEER_ENDED)) !== 0) {
    return;
  }
  const text = 'The peer ended the connection without close_notify: it may have been cut off';
  c.layer.stats.truncated += 1;
  dropGathered(c);
  c.flags |= GONE;
  rareOf(c).reason = { code: 'error', error: new TlsError('ERR_TLS_TRUNCATED', text) };
  c.base.close();
}

/** The transport's close. */
export function onTransportClose(c: TlsConnection, reason: CloseReason): Action | void {
  const { layer, rare } = c;
  if (c.handshake !== undefined) {
    const why = reason.error?.message ?? 'the connection closed';
    failHandshake(c, new TlsError('ERR_TLS_HANDSHAKE', 'The TLS handshake failed', why), false);
  }
  dropGathered(c);
  c.flags |= GONE;
  layer.stats.connections -= 1;
  freeSsl(c);
  c.reading?.close();
  const told = reasonOf(c, reason);
  if (rare !== undefined) {
    rare.writer?.close();
    for (const callback of rare.receipts.splice(0)) {
      callback(false);
    }
    for (const resolve of rare.waiters.splice(0)) {
      resolve(false);
    }
    rare.consumer?.end(told.error);
    rare.held.length = 0;
    rare.heldBytes = 0;
  }
  if ((c.flags & OPENED) !== 0 && layer.onClose !== undefined) {
    return layer.onClose.call(layer.inner, c, told);
  }
}

/** The transport's reason, unless TLS knows better. */
function reasonOf(c: TlsConnection, reason: CloseReason): CloseReason {
  const own = c.rare?.reason;
  const held = c.rare?.heldBytes ?? 0;
  const unsentBytes = reason.unsentBytes + held;
  if (own !== undefined && reason.code !== 'handler') {
    if (own.error !== undefined) {
      return { code: own.code, error: own.error, unsentBytes };
    }
    // What the transport saw after our close is what the user needs to know.
    if (reason.code === 'closed' || own.code === 'overflow') {
      return { code: own.code, unsentBytes };
    }
  }
  return held === 0 ? reason : { ...reason, unsentBytes };
}

export function freeSsl(c: TlsConnection): void {
  if (c.ssl !== 0) {
    c.pipe.calls.SSL_free(c.ssl);
    c.ssl = 0;
    census.ssl -= 1;
  }
}
