/** The orderly end of a connection: close_notify and FIN, from one side (`end`) or both (`close`). */

import {
  CLOSE_WANTED,
  CLOSING,
  END_OWED,
  END_SENT,
  FIN_WANTED,
  GONE,
  HELD,
  NO_WRITE,
  PEER_ENDED,
  STALLED,
} from './connection-flags.js';
import { rareOf } from './rare.js';
import type { TlsConnection } from './tls-connection.js';
import { flush, sendWritten } from './write-path.js';

/** close_notify and FIN after what is queued. */
export function end(c: TlsConnection): void {
  if ((c.flags & NO_WRITE) !== 0) {
    return;
  }
  flush(c);
  if ((c.flags & STALLED) !== 0) {
    c.flags |= FIN_WANTED;
    return;
  }
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
  if ((c.flags & STALLED) === 0) {
    sendCloseNotify(c);
  }
  if ((c.flags & (HELD | STALLED)) === 0) {
    c.base.close();
  } else {
    c.flags |= CLOSE_WANTED;
    const { lingerTimeoutMs } = c.limits;
    if (lingerTimeoutMs > 0) {
      c.base.setTimer(lingerTimeoutMs, (base) => {
        rareOf(c).reason = { code: 'timeout', error: undefined };
        base.abort();
      });
    }
  }
}

/** What was stalled is encrypted: what was to come after it. */
export function closeAfterStall(c: TlsConnection): void {
  if ((c.flags & (FIN_WANTED | CLOSE_WANTED)) === 0) {
    return;
  }
  sendCloseNotify(c);
  if ((c.flags & HELD) !== 0) {
    return;
  }
  if ((c.flags & CLOSE_WANTED) !== 0) {
    c.base.close();
  } else {
    c.base.end();
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
  const keepsHalfOpen = c.limits.allowHalfOpen || c.rare?.consumer?.keepsHalfOpen === true;
  if ((c.flags & END_SENT) !== 0 || !keepsHalfOpen) {
    closeAs(c, 'ended');
  }
}
