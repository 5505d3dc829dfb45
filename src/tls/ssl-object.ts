/** The object of OpenSSL that a connection has from its ClientHello to its end: made and freed here alone. */

import { forgetNative, Native, noteNative } from '../base/native-registry.js';
import { census, takeErrors } from '../base/openssl.js';
import { checkOpen, type SecureContext } from './secure-context.js';
import type { TlsConnection } from './tls-connection.js';
import { TlsError } from './tls-error.js';

/** Reads from the pipe and writes to it. */
export function createSsl(c: TlsConnection, context: SecureContext): void {
  checkOpen(context);
  const { calls, rbio, wbio } = c.pipe;
  const ssl = calls.SSL_new(context.address);
  if (ssl === 0) {
    throw new TlsError('ERR_TLS_CONTEXT', 'Cannot make a connection', takeErrors(calls).at(-1));
  }
  census.ssl += 1;
  c.ssl = ssl;
  c.sslNote = noteNative(Native.SSL, ssl);
  c.handshake!.context = context;
  // SSL_set_bio takes a reference of each.
  calls.BIO_up_ref(rbio);
  calls.BIO_up_ref(wbio);
  calls.SSL_set_bio(ssl, rbio, wbio);
  if (context.role === 'server') {
    calls.SSL_set_accept_state(ssl);
  } else {
    calls.SSL_set_connect_state(ssl);
  }
}

/** Idempotent. */
export function freeSsl(c: TlsConnection): void {
  if (c.ssl !== 0) {
    forgetNative(c.sslNote);
    c.pipe.calls.SSL_free(c.ssl);
    c.ssl = 0;
    census.ssl -= 1;
  }
}
