/** Failures: the alert is on its way, and nothing else is sent or reported. */

import { GONE } from './connection-flags.js';
import { rareOf } from './rare.js';
import { freeSsl } from './ssl-object.js';
import type { TlsConnection } from './tls-connection.js';
import type { TlsError } from './tls-error.js';

/** Forgets what was gathered: its hook threw. */
export function dropGathered(c: TlsConnection): void {
  const { pipe } = c;
  if (pipe.gathering === c) {
    pipe.gathering = undefined;
    pipe.gathered = 0;
  }
}

/** Gives up after the handshake. */
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

/** Gives up before the handshake is over. With `isOurs` the transport is to be closed. */
export function failHandshake(c: TlsConnection, error: TlsError, isOurs: boolean): void {
  const { handshake, layer } = c;
  if (handshake === undefined) {
    return;
  }
  handshake.queue.remove(c);
  c.handshake = undefined;
  c.flags |= GONE;
  layer.stats.handshakesFailed += 1;
  freeSsl(c);
  if (error.code === 'ERR_TLS_TIMEOUT') {
    layer.stats.handshakesTimedOut += 1;
    c.base.abort();
  } else if (isOurs) {
    c.base.close();
  }
  handshake.settle?.(error);
  layer.reportHandshakeError(c, error);
}
