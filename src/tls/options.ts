/** What `tlsHandler`, `dialTls` and `SecureContext` take, and what a connection tells of its TLS. */

import type { Connection, DialOptions, Reactor } from '../api.js';
import type { SecureContext } from './secure-context.js';
import type { TicketKeys } from './ticket-keys.js';
import type { TlsError } from './tls-error.js';

export type TlsVersion = 'TLSv1.2' | 'TLSv1.3';

/** PEM, as text or bytes. */
export type Pem = string | Uint8Array;

/** Options of servers and clients alike. */
export interface SecureContextOptions {
  /** The certificate and after it its intermediates; a list for several, such as ECDSA and RSA. */
  cert?: Pem | readonly Pem[];
  /** The private key; a list in the order of `cert`. */
  key?: Pem | readonly Pem[];
  /** Of encrypted keys. */
  passphrase?: string;
  /** Whom the peer's certificate must come from. Clients: by default `rootCertificates` of node:tls. */
  ca?: Pem | readonly Pem[];
  /** TLSv1.2. */
  minVersion?: TlsVersion;
  /** TLSv1.3. */
  maxVersion?: TlsVersion;
  /** Cipher suites of TLS 1.2 in OpenSSL's notation. ECDHE with AES-GCM (128 before 256) or ChaCha20. */
  ciphers?: string;
  /** Cipher suites of TLS 1.3, with colons between them. AES-128-GCM, AES-256-GCM, ChaCha20. */
  cipherSuites?: string;
  /** Groups for the key exchange, with colons between them, such as `X25519:P-256`. OpenSSL's own choice. */
  groups?: string;
  /** Protocols of the application (RFC 7301), such as `['h2', 'http/1.1']`, the preferred first. */
  alpn?: readonly string[];
  /**
   * Gets each line of the key log (SSLKEYLOGFILE), which lets whoever reads it decrypt the connections: for debugging
   * alone.
   */
  keyLog?: (line: string) => void;
}

export interface ServerContextOptions extends SecureContextOptions {
  cert: Pem | readonly Pem[];
  key: Pem | readonly Pem[];
  /**
   * `none` (the default); `request`: the client may show a certificate, and `connection.tls.isAuthorized` says whether
   * it is one of `ca`'s; `require`: the handshake fails without a certificate of `ca`'s.
   */
  clientCertificate?: 'none' | 'request' | 'require';
  /** An OCSP response (DER) for the first certificate, given to clients that ask; `reload` renews it. */
  ocspResponse?: Uint8Array;
}

export interface TlsOptions extends ServerContextOptions {
  /** Other certificates by server name: exact, or `*.example.org` for one label. What they leave out is as above. */
  serverNames?: Readonly<Record<string, Partial<ServerContextOptions>>>;
  /**
   * Asked for names that are not in `serverNames`. The handshake waits for a promise, within its deadline. Undefined:
   * as `unknownServerName` says. A throw or rejection ends the handshake. Contexts are the provider's own: it keeps
   * them for further connections, and closes them.
   */
  onServerName?: (
    name: string,
    connection: Connection,
  ) => SecureContext | undefined | Promise<SecureContext | undefined>;
  /** A name that nobody knows gets the certificate of these options (`default`), or an alert (`reject`). `default`. */
  unknownServerName?: 'default' | 'reject';
  /** Session tickets: `TicketKeys` to share between reactors or reload; false: none. Keys of this handler's own. */
  tickets?: TicketKeys | SharedArrayBuffer | false;
  /** How many tickets a client of TLS 1.3 gets after a full handshake. 2. */
  ticketCount?: number;
  /** How long a session may be resumed. 7,200 seconds. */
  ticketLifetimeSeconds?: number;
  /** From the connection's first moment to the end of the handshake. 10,000 ms. */
  handshakeTimeoutMs?: number;
  /** New handshakes computed in one turn: each takes as long as hundreds of messages of established connections. 5. */
  handshakesPerTurn?: number;
  /** A handshake failed: the handler's hooks do not hear of that connection. Must not throw. */
  onHandshakeError?: (error: TlsError, connection: Connection) => void;
}

export interface DialTlsOptions extends DialOptions, SecureContextOptions {
  /** What dials, a reactor or another way to the server; by default one that the calling thread's dials share. */
  reactor?: Pick<Reactor, 'dial'>;
  /** Who the server should be: sent as SNI and checked against its certificate. The URL's host. */
  serverName?: string;
  /** Off: any certificate is taken, and `connection.tls.isAuthorized` says whether it was good. On. */
  verify?: boolean;
  /** Made once with `SecureContext.client`, for many dials: then the options of contexts here do not count. */
  secureContext?: SecureContext;
  /** A session of an earlier connection to this server, from `connection.tls.exportSession()`. */
  session?: Uint8Array;
  /** From the established connection to the end of the handshake. 10,000 ms. */
  handshakeTimeoutMs?: number;
}

/** What the handshake agreed on. After the close: what had been asked for before. */
export interface TlsInfo {
  readonly protocol: TlsVersion | undefined;
  /** The IANA name, such as `TLS_AES_256_GCM_SHA384`. */
  readonly cipher: string | undefined;
  /** The agreed protocol; undefined if one side offered none. */
  readonly alpn: string | undefined;
  /** What the client asked for. */
  readonly serverName: string | undefined;
  readonly isSessionReused: boolean;
  /** Whether the peer showed a certificate that was found good. */
  readonly isAuthorized: boolean;
  /** Why not, in OpenSSL's words; undefined if authorized or if there was no certificate. */
  readonly authorizationError: string | undefined;
  /** The peer's certificate as DER: `new X509Certificate(…)` of node:crypto reads it. */
  readonly peerCertificate: Buffer | undefined;
  /** Clients: the newest session, for `DialTlsOptions.session`. With TLS 1.3 there is none before the first bytes. */
  exportSession(): Buffer | undefined;
}

/** A connection whose bytes are plaintext. */
export interface SecureConnection<Context = unknown> extends Connection<Context> {
  readonly tls: TlsInfo;
}
