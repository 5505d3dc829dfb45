/**
 * An SSL_CTX with all its settings: made once, used for many connections of this thread. Closing it does not touch the
 * connections that were made from it, as each holds a reference of its own; so certificates are replaced by making a
 * new context.
 */

import { loadLibc } from '../base/ffi.js';
import { forgetNative, Native, noteNative } from '../base/native-registry.js';
import { census, copyFrom, loadOpenSsl, type OpenSslCalls, withCopy } from '../base/openssl.js';
import { acceptAnyCallback, alpnCallback, keyLogCallback, stapleCallback } from './callbacks.js';
import { check, createStore, freeStore, listOf, rootStore, useIdentity } from './certificates.js';
import type { SecureContextOptions, ServerContextOptions, TlsVersion } from './options.js';
import type { TicketKeys } from './ticket-keys.js';
import { TlsError } from './tls-error.js';

const MODE_RELEASE_BUFFERS = 0x10;
const MODE_NO_AUTO_CHAIN = 0x08;
const OP_NO_RENEGOTIATION = 1 << 30;
const OP_CIPHER_SERVER_PREFERENCE = 1 << 22;
const OP_PRIORITIZE_CHACHA = 1 << 21;
const OP_NO_COMPRESSION = 1 << 17;
const OP_NO_TICKET = 1 << 14;
const CTRL_MODE = 33;
const CTRL_SESS_CACHE_MODE = 44;
const CTRL_TICKET_KEYS = 59;
const CTRL_STATUS_CB = 63;
const CTRL_STATUS_RESPONSE = 71;
const CTRL_GROUPS_LIST = 92;
const CTRL_MIN_VERSION = 123;
const CTRL_MAX_VERSION = 124;
const VERIFY_PEER = 1;
const VERIFY_FAIL_IF_NONE = 2;

const VERSIONS: Readonly<Record<TlsVersion, number>> = { 'TLSv1.2': 0x303, 'TLSv1.3': 0x304 };
/**
 * Forward secrecy and authenticated encryption only: what TLS 1.3 kept of TLS 1.2. AES-128 first, as in Go and
 * BoringSSL: nobody breaks it, and its SHA-256 makes handshakes cheaper. Clients without AES instructions say so by
 * putting ChaCha20 first, and get it.
 */
const CIPHERS = [
  ...['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256'],
  ...['ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-RSA-AES256-GCM-SHA384'],
  ...['ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-RSA-CHACHA20-POLY1305'],
].join(':');
const CIPHER_SUITES = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256';
const PROTOCOL_BYTES_MAX = 255;

/** What concerns tickets, which is the handler's to say. */
export interface TicketSettings {
  readonly isEnabled: boolean;
  readonly count: number;
  readonly lifetimeSeconds: number;
}

export const NO_TICKETS: TicketSettings = { isEnabled: false, count: 0, lifetimeSeconds: 7_200 };

export class SecureContext {
  /** The SSL_CTX; 0 once closed. */
  address: number;
  readonly calls: OpenSslCalls;
  readonly role: 'server' | 'client';
  readonly protocols: readonly Buffer[];
  readonly keyLog: ((line: string) => void) | undefined;
  readonly ocspResponse: Uint8Array | undefined;
  #keys: TicketKeys | undefined;
  #keysVersion = -1;
  readonly #note: number;

  private constructor(role: 'server' | 'client', options: SecureContextOptions) {
    const { calls } = loadOpenSsl();
    this.calls = calls;
    this.role = role;
    this.protocols = protocolsOf(options.alpn);
    this.keyLog = options.keyLog;
    this.ocspResponse = (options as ServerContextOptions).ocspResponse;
    const method = role === 'server' ? calls.TLS_server_method() : calls.TLS_client_method();
    this.address = calls.SSL_CTX_new(method);
    check(calls, this.address, 'make a context');
    census.contexts += 1;
    this.#note = noteNative(Native.SSL_CTX, this.address);
  }

  /**
   * A context for `TlsOptions.onServerName`. `label` tells apart whose sessions must not be resumed with this one: by
   * default all contexts that take the same client certificates share them.
   *
   * @throws TlsError `ERR_TLS_CONTEXT` with OpenSSL's reason; TypeError for what is no PEM.
   */
  static server(
    options: ServerContextOptions,
    tickets: TicketSettings = { isEnabled: true, count: 2, lifetimeSeconds: 7_200 },
    label = '',
  ): SecureContext {
    if (listOf(options.cert).length === 0) {
      throw new TypeError('A TLS server needs a certificate: expected cert and key as PEM');
    }
    return SecureContext.#make('server', options, (context) => {
      context.#setUpServer(options, tickets, label);
    });
  }

  static client(options: SecureContextOptions & { verify?: boolean }): SecureContext {
    return SecureContext.#make('client', options, (context) => context.#setUpClient(options));
  }

  static #make(
    role: 'server' | 'client',
    options: SecureContextOptions,
    setUp: (context: SecureContext) => void,
  ): SecureContext {
    const context = new SecureContext(role, options);
    try {
      context.#setUp(options);
      setUp(context);
    } catch (error) {
      context.close();
      throw error;
    }
    return context;
  }

  /** Idempotent. Connections made from it go on. */
  close(): void {
    if (this.address !== 0) {
      forgetNative(this.#note);
      this.calls.SSL_CTX_free(this.address);
      this.address = 0;
      census.contexts -= 1;
    }
  }

  /** Seals new tickets with the current key, and opens those of that name. */
  useTicketKeys(keys: TicketKeys, version: number): void {
    if (this.#keys !== keys || this.#keysVersion !== version) {
      this.#keys = keys;
      this.#keysVersion = version;
      this.setTicketKey(keys.current);
    }
  }

  /** Does nothing once closed: a handshake may outlive its context, and then gets tickets of the last key set. */
  setTicketKey(key: Buffer): void {
    if (this.address === 0) {
      return;
    }
    withCopy(key, (address, byteLength) => {
      const n = this.calls.SSL_CTX_ctrl(this.address, CTRL_TICKET_KEYS, byteLength, address);
      check(this.calls, n, 'set the ticket key');
    });
  }

  /** Gives the handshake of `ssl` the OCSP response of this context. */
  staple(ssl: number): void {
    const { ocspResponse, calls } = this;
    if (ocspResponse !== undefined) {
      const { length: byteLength } = ocspResponse;
      // OpenSSL frees it, hence its own allocator.
      const address = calls.CRYPTO_malloc(byteLength, 0, 0);
      if (address !== 0) {
        loadLibc().memcpyIn(address, ocspResponse, byteLength);
        calls.SSL_ctrl(ssl, CTRL_STATUS_RESPONSE, byteLength, address);
      }
    }
  }

  #setUp(options: SecureContextOptions): void {
    const { calls, address } = this;
    const { minVersion = 'TLSv1.2', maxVersion = 'TLSv1.3', passphrase = '' } = options;
    this.#control(CTRL_MODE, MODE_RELEASE_BUFFERS | MODE_NO_AUTO_CHAIN, 0);
    this.#control(CTRL_SESS_CACHE_MODE, 0, 0);
    calls.SSL_CTX_set_options(address, OP_NO_RENEGOTIATION | OP_NO_COMPRESSION);
    const [min, max] = [versionOf(minVersion), versionOf(maxVersion)];
    if (min > max) {
      throw new RangeError(`minVersion ${minVersion} is above maxVersion ${maxVersion}`);
    }
    check(calls, this.#control(CTRL_MIN_VERSION, min, 0), 'set the versions');
    check(calls, this.#control(CTRL_MAX_VERSION, max, 0), 'set the versions');
    const set = (text: string, what: string, call: (text: number) => number) => {
      withCopy(Buffer.from(text), (copy) => check(calls, call(copy), `${what} ${text}`));
    };
    set(options.ciphers ?? CIPHERS, 'use the ciphers', (text) =>
      calls.SSL_CTX_set_cipher_list(address, text),
    );
    set(options.cipherSuites ?? CIPHER_SUITES, 'use the cipher suites', (text) =>
      calls.SSL_CTX_set_ciphersuites(address, text),
    );
    if (options.groups !== undefined) {
      set(options.groups, 'use the groups', (text) => this.#control(CTRL_GROUPS_LIST, 0, text));
    }
    const [certs, keys] = [listOf(options.cert), listOf(options.key)];
    if (certs.length !== keys.length) {
      throw new TypeError(
        `Expected a key for each certificate, got ${certs.length} certificates and ${keys.length} keys`,
      );
    }
    for (const [i, cert] of certs.entries()) {
      useIdentity(calls, address, cert, keys[i]!, passphrase);
    }
    if (this.keyLog !== undefined) {
      calls.SSL_CTX_set_keylog_callback(address, keyLogCallback());
    }
  }

  #setUpServer(options: ServerContextOptions, tickets: TicketSettings, label: string): void {
    const { calls, address } = this;
    const preferences = OP_CIPHER_SERVER_PREFERENCE | OP_PRIORITIZE_CHACHA;
    calls.SSL_CTX_set_options(address, preferences | (tickets.isEnabled ? 0 : OP_NO_TICKET));
    calls.SSL_CTX_set_num_tickets(address, tickets.isEnabled ? tickets.count : 0);
    calls.SSL_CTX_set_timeout(address, tickets.lifetimeSeconds);
    if (this.protocols.length > 0) {
      calls.SSL_CTX_set_alpn_select_cb(address, alpnCallback(), 0);
    }
    if (this.ocspResponse !== undefined) {
      calls.SSL_CTX_callback_ctrl(address, CTRL_STATUS_CB, stapleCallback());
    }
    const { clientCertificate = 'none' } = options;
    const ca = listOf(options.ca);
    if (clientCertificate === 'require' || clientCertificate === 'request') {
      if (ca.length === 0) {
        throw new TypeError(`clientCertificate ${clientCertificate} needs ca: whom to trust`);
      }
      this.#trust(
        createStore(calls, ca, (each) => {
          check(calls, calls.SSL_CTX_add_client_CA(address, each), 'name a CA certificate');
        }),
      );
      if (clientCertificate === 'require') {
        calls.SSL_CTX_set_verify(address, VERIFY_PEER | VERIFY_FAIL_IF_NONE, 0);
      } else {
        calls.SSL_CTX_set_verify(address, VERIFY_PEER, acceptAnyCallback());
      }
    } else if (clientCertificate !== 'none') {
      throw new TypeError(
        `Expected clientCertificate none, request or require, got ${String(clientCertificate)}`,
      );
    }
    this.#bindSessions([clientCertificate, label, ...ca.map((each) => Buffer.from(each))]);
  }

  #setUpClient(options: SecureContextOptions & { verify?: boolean }): void {
    const { calls, address, protocols } = this;
    const ca = listOf(options.ca);
    if (ca.length > 0) {
      this.#trust(createStore(calls, ca));
    } else {
      calls.SSL_CTX_set1_cert_store(address, rootStore(calls));
    }
    // Without it OpenSSL still judges the certificate, and goes on whatever it finds.
    calls.SSL_CTX_set_verify(address, options.verify === false ? 0 : VERIFY_PEER, 0);
    if (protocols.length > 0) {
      const list = Buffer.concat(protocols.flatMap((each) => [Buffer.from([each.length]), each]));
      // Unlike all others, this one returns 0 for success.
      const n = withCopy(list, (copy, length) =>
        calls.SSL_CTX_set_alpn_protos(address, copy, length),
      );
      check(calls, n === 0 ? 1 : 0, 'offer the protocols');
    }
  }

  #trust(store: number): void {
    this.calls.SSL_CTX_set1_cert_store(this.address, store);
    freeStore(this.calls, store);
  }

  /**
   * A session resumes only where the same client certificates are asked for: else whoever was let in at one name would
   * be let in at another without showing a certificate there.
   */
  #bindSessions(parts: readonly (string | Buffer)[]): void {
    const { calls, address } = this;
    const text = Buffer.concat(parts.flatMap((part) => [Buffer.from(part), Buffer.from([0])]));
    const digest = withCopy(text, (data, length) =>
      withCopy(new Uint8Array(64), (out) => {
        check(calls, calls.EVP_Digest(data, length, out, 0, calls.EVP_sha256(), 0), 'hash');
        return copyFrom(out, 32);
      }),
    );
    withCopy(digest, (copy, length) => {
      const n = calls.SSL_CTX_set_session_id_context(address, copy, length);
      check(calls, n, 'name the sessions');
    });
  }

  #control(command: number, long: number, pointer: number): number {
    return this.calls.SSL_CTX_ctrl(this.address, command, long, pointer);
  }
}

function versionOf(version: TlsVersion): number {
  const number = VERSIONS[version];
  if (number === undefined) {
    throw new TypeError(`Expected the version TLSv1.2 or TLSv1.3, got ${String(version)}`);
  }
  return number;
}

function protocolsOf(alpn: readonly string[] | undefined): readonly Buffer[] {
  return (alpn ?? []).map((name) => {
    const bytes = Buffer.from(String(name), 'latin1');
    if (bytes.length === 0 || bytes.length > PROTOCOL_BYTES_MAX) {
      throw new RangeError(
        `Expected a protocol of 1 to ${PROTOCOL_BYTES_MAX} bytes, got ${JSON.stringify(name)}`,
      );
    }
    return bytes;
  });
}

/** For messages: a closed context cannot be used. */
export function checkOpen(context: SecureContext): void {
  if (context.address === 0) {
    throw new TlsError('ERR_TLS_CONTEXT', 'The secure context is closed');
  }
}
