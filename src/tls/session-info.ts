/** What a handshake agreed on, asked of OpenSSL when somebody wants to know. */

import { copyFrom, withCopy } from '../base/openssl.js';
import type { TlsInfo, TlsVersion } from './options.js';
import { current } from './separation.js';
import type { TlsConnection } from './tls-connection.js';

const WORD_BYTES = 8;

export class SessionInfo implements TlsInfo {
  readonly #connection: TlsConnection;
  #protocol: TlsVersion | undefined;
  #cipher: string | undefined;
  #alpn: string | undefined;
  #certificate: Buffer | undefined;
  #verifyResult: number | undefined;
  #isReused: boolean | undefined;
  #isRead = false;

  constructor(connection: TlsConnection) {
    this.#connection = connection;
  }

  get protocol(): TlsVersion | undefined {
    this.#read();
    return this.#protocol;
  }

  get cipher(): string | undefined {
    this.#read();
    return this.#cipher;
  }

  get alpn(): string | undefined {
    this.#read();
    return this.#alpn;
  }

  get serverName(): string | undefined {
    return this.#connection.serverName;
  }

  get isSessionReused(): boolean {
    this.#read();
    return this.#isReused ?? false;
  }

  get isAuthorized(): boolean {
    this.#read();
    return this.#certificate !== undefined && this.#verifyResult === 0;
  }

  get authorizationError(): string | undefined {
    this.#read();
    if (this.#certificate === undefined || this.#verifyResult === 0) {
      return undefined;
    }
    const { calls } = this.#connection.pipe;
    return calls.X509_verify_cert_error_string(this.#verifyResult ?? 1) ?? 'unknown';
  }

  get peerCertificate(): Buffer | undefined {
    this.#read();
    return this.#certificate;
  }

  exportSession(): Buffer | undefined {
    const { ssl, pipe } = current(this.#connection);
    if (ssl === 0) {
      return undefined;
    }
    const { calls } = pipe;
    const session = calls.SSL_get1_session(ssl);
    if (session === 0) {
      return undefined;
    }
    const bytes =
      calls.SSL_SESSION_is_resumable(session) === 1
        ? encoded(session, calls.i2d_SSL_SESSION)
        : undefined;
    calls.SSL_SESSION_free(session);
    return bytes;
  }

  /** All at once, after the handshake: afterwards they do not change. */
  #read(): void {
    const { ssl, pipe, handshake } = current(this.#connection);
    if (this.#isRead || ssl === 0 || handshake !== undefined) {
      return;
    }
    this.#isRead = true;
    const { calls } = pipe;
    this.#protocol = (calls.SSL_get_version(ssl) ?? undefined) as TlsVersion | undefined;
    this.#cipher = calls.SSL_CIPHER_standard_name(calls.SSL_get_current_cipher(ssl)) ?? undefined;
    this.#isReused = calls.SSL_session_reused(ssl) === 1;
    this.#verifyResult = calls.SSL_get_verify_result(ssl);
    withCopy(new Uint8Array(2 * WORD_BYTES), (out) => {
      calls.SSL_get0_alpn_selected(ssl, out, out + WORD_BYTES);
      const answer = copyFrom(out, 2 * WORD_BYTES);
      const length = answer.readUInt32LE(WORD_BYTES);
      const name = copyFrom(Number(answer.readBigUInt64LE(0)), length);
      this.#alpn = length === 0 ? undefined : name.toString('latin1');
    });
    const certificate = calls.SSL_get1_peer_certificate(ssl);
    if (certificate !== 0) {
      this.#certificate = encoded(certificate, calls.i2d_X509);
      calls.X509_free(certificate);
    }
  }
}

/** An object as DER, by one of OpenSSL's i2d functions: they advance the pointer that they are given. */
function encoded(object: number, encode: (object: number, out: number) => number): Buffer {
  const byteLength = encode(object, 0);
  return withCopy(new Uint8Array(byteLength), (target) => {
    const pointer = Buffer.alloc(WORD_BYTES);
    pointer.writeBigUInt64LE(BigInt(target));
    withCopy(pointer, (at) => encode(object, at));
    return copyFrom(target, byteLength);
  });
}
