/** Certificates and private keys from PEM into OpenSSL. Error texts name what was given, never its contents. */

import { rootCertificates } from 'node:tls';

import { Native, noteNative } from '../base/native-registry.js';
import { census, type OpenSslCalls, takeErrors, withCopy } from '../base/openssl.js';
import type { Pem } from './options.js';
import { TlsError } from './tls-error.js';

const NO_MORE = /no start line/i;
const SSL_CTRL_CHAIN = 88;
const SSL_CTRL_CHAIN_CERT = 89;

export function listOf(pem: Pem | readonly Pem[] | undefined): readonly Pem[] {
  if (pem === undefined) {
    return [];
  }
  return Array.isArray(pem) ? pem : [pem as Pem];
}

function bytesOf(pem: Pem, what: string): Uint8Array {
  if (typeof pem === 'string') {
    return Buffer.from(pem);
  }
  if (pem instanceof Uint8Array) {
    return pem;
  }
  throw new TypeError(`Expected ${what} as PEM, a string or Uint8Array, got ${typeof pem}`);
}

function withBio<Result>(
  calls: OpenSslCalls,
  pem: Pem,
  what: string,
  use: (bio: number) => Result,
): Result {
  return withCopy(bytesOf(pem, what), (address, byteLength) => {
    const bio = calls.BIO_new_mem_buf(address, byteLength);
    try {
      return use(bio);
    } finally {
      calls.BIO_free(bio);
    }
  });
}

/** All certificates of a PEM, each to be freed by `use`'s caller: `use` gets them and they are freed after it. */
function withCertificates(
  calls: OpenSslCalls,
  pem: Pem,
  what: string,
  use: (certificates: readonly number[]) => void,
): void {
  const certificates: number[] = [];
  try {
    withBio(calls, pem, what, (bio) => {
      // The last argument keeps OpenSSL from asking for a password on the terminal.
      withCopy(new Uint8Array(0), (empty) => {
        for (;;) {
          const certificate = calls.PEM_read_bio_X509(bio, 0, 0, empty);
          if (certificate === 0) {
            return;
          }
          certificates.push(certificate);
        }
      });
    });
    const reason = takeErrors(calls).at(-1) ?? '';
    if (certificates.length === 0 || !NO_MORE.test(reason)) {
      throw new TlsError('ERR_TLS_CONTEXT', `Cannot read ${what}`, reason || 'it is empty');
    }
    use(certificates);
  } finally {
    for (const certificate of certificates) {
      calls.X509_free(certificate);
    }
  }
}

/** Sets one certificate with its chain and key. */
export function useIdentity(
  calls: OpenSslCalls,
  context: number,
  cert: Pem,
  key: Pem,
  passphrase: string,
): void {
  withCertificates(calls, cert, 'the certificate', ([own, ...chain]) => {
    check(calls, calls.SSL_CTX_use_certificate(context, own!), 'use the certificate');
    calls.SSL_CTX_ctrl(context, SSL_CTRL_CHAIN, 0, 0);
    for (const each of chain) {
      const n = calls.SSL_CTX_ctrl(context, SSL_CTRL_CHAIN_CERT, 1, each);
      check(calls, n, 'use an intermediate certificate');
    }
  });
  const privateKey = withCopy(Buffer.from(passphrase), (password) =>
    withBio(calls, key, 'the private key', (bio) =>
      calls.PEM_read_bio_PrivateKey(bio, 0, 0, password),
    ),
  );
  check(calls, privateKey, 'read the private key');
  const n = calls.SSL_CTX_use_PrivateKey(context, privateKey);
  calls.EVP_PKEY_free(privateKey);
  check(calls, n, 'use the private key');
  check(calls, calls.SSL_CTX_check_private_key(context), 'use the private key');
}

/** A store of trusted certificates; freed with `X509_STORE_free`. `each` sees every certificate of it. */
export function createStore(
  calls: OpenSslCalls,
  ca: readonly Pem[],
  each: (certificate: number) => void = () => {},
): number {
  const store = calls.X509_STORE_new();
  census.stores += 1;
  try {
    for (const pem of ca) {
      withCertificates(calls, pem, 'a CA certificate', (certificates) => {
        for (const certificate of certificates) {
          check(calls, calls.X509_STORE_add_cert(store, certificate), 'trust a CA certificate');
          each(certificate);
        }
      });
    }
  } catch (error) {
    freeStore(calls, store);
    throw error;
  }
  return store;
}

export function freeStore(calls: OpenSslCalls, store: number): void {
  calls.X509_STORE_free(store);
  census.stores -= 1;
}

let roots = 0;

/** The store of the root certificates that node carries: read once for the thread, and never freed. */
export function rootStore(calls: OpenSslCalls): number {
  if (roots === 0) {
    roots = createStore(calls, [rootCertificates.join('\n')]);
    noteNative(Native.X509_STORE, roots);
  }
  return roots;
}

/** Throws, with OpenSSL's reason, unless a call succeeded. */
export function check(calls: OpenSslCalls, result: number, what: string): void {
  if (result <= 0) {
    const reason = takeErrors(calls).at(-1) ?? 'OpenSSL gives no reason';
    throw new TlsError('ERR_TLS_CONTEXT', `Cannot ${what}`, reason);
  }
}
