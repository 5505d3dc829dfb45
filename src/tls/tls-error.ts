/** What goes wrong with TLS, by a stable code. */

import { MillraceError } from '../errors.js';

export type TlsErrorCode =
  /** A certificate, key or setting cannot be used: thrown when the context is made. */
  | 'ERR_TLS_CONTEXT'
  /** The handshake failed: no common version or cipher, garbage, an alert of the peer's. */
  | 'ERR_TLS_HANDSHAKE'
  /** The peer's certificate was missing, or is not trusted, or is not for the name that was expected. */
  | 'ERR_TLS_CERTIFICATE'
  /** The handshake was not done within its deadline. */
  | 'ERR_TLS_TIMEOUT'
  /** There is no certificate for the server name that the client asked for, or the provider failed. */
  | 'ERR_TLS_SERVER_NAME'
  /** After the handshake: a record that is no good, or an alert of the peer's. */
  | 'ERR_TLS_PROTOCOL'
  /** The peer ended its side of the connection without close_notify: what it sent may have been cut off. */
  | 'ERR_TLS_TRUNCATED';

export class TlsError extends MillraceError {
  declare readonly code: TlsErrorCode;
  /** OpenSSL's own words, such as `tlsv1 alert unknown ca`. */
  readonly reason: string | undefined;

  constructor(code: TlsErrorCode, message: string, reason?: string, options?: ErrorOptions) {
    super(code, reason === undefined ? message : `${message}: ${reason}`, options);
    this.name = 'TlsError';
    this.reason = reason;
  }
}
