/**
 * What the transport's end and close mean. A FIN without close_notify may be an attacker's, and is reported as
 * truncation. The close is where everything of a connection is freed, and its reason told.
 */

import type { Action, CloseReason } from '../api.js';
import { CLOSING, GONE, OPENED, PEER_ENDED } from './connection-flags.js';
import { dropGathered, failHandshake } from './giving-up.js';
import { rareOf } from './rare.js';
import { freeSsl } from './ssl-object.js';
import type { TlsConnection } from './tls-connection.js';
import { TlsError } from './tls-error.js';

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
    rare.consumer?.close(told);
    rare.held.length = 0;
    rare.heldBytes = 0;
    rare.stalled.length = 0;
    rare.stalledBytes = 0;
  }
  if ((c.flags & OPENED) !== 0 && layer.onClose !== undefined) {
    return layer.onClose.call(layer.inner, c, told);
  }
}

/** The transport's reason, unless TLS knows better. */
function reasonOf(c: TlsConnection, reason: CloseReason): CloseReason {
  const own = c.rare?.reason;
  const held = c.rare === undefined ? 0 : c.rare.heldBytes + c.rare.stalledBytes;
  const unsentBytes = reason.unsentBytes + held;
  if (own !== undefined && reason.code !== 'handler') {
    if (own.error !== undefined) {
      return { code: own.code, error: own.error, unsentBytes };
    }
    if (own.code === 'timeout') {
      return { code: 'timeout', timeout: 'linger', unsentBytes };
    }
    // What the transport saw after our close is what the user needs to know.
    if (reason.code === 'closed' || own.code === 'overflow') {
      return { code: own.code, unsentBytes };
    }
  }
  return held === 0 ? reason : { ...reason, unsentBytes };
}
