/** `millrace/tls`: TLS under any handler, by the OpenSSL that node carries. Everything public is named here. */

export { dialTls } from './dial-tls.js';
export type { TlsStats } from './layer.js';
export type {
  DialTlsOptions,
  Pem,
  SecureConnection,
  SecureContextOptions,
  ServerContextOptions,
  TlsInfo,
  TlsOptions,
  TlsVersion,
} from './options.js';
export { SecureContext, type TicketSettings } from './secure-context.js';
export { TICKET_KEY_BYTES, TicketKeys, type TicketKeysOptions } from './ticket-keys.js';
export { TlsError, type TlsErrorCode } from './tls-error.js';
export { type TlsHandler, tlsHandler } from './tls-handler.js';
