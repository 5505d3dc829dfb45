/**
 * The few answers that OpenSSL takes only from a C function: registered once for each thread, and not before somebody
 * needs them. They answer for the context whose handshake runs. They never throw (the FFI package would make a 0 of
 * that, which often means "fine"), and what goes wrong in them fails the handshake.
 */

import { loadLibc, registerCallback } from '../base/ffi.js';
import { copyFrom } from '../base/openssl.js';

/** What the callbacks need of the context of the running handshake. */
export interface CallbackTarget {
  /** The protocols of the application, the preferred first. */
  readonly protocols: readonly Buffer[];
  readonly keyLog: ((line: string) => void) | undefined;
}

const SSL_TLSEXT_ERR_OK = 0;
const SSL_TLSEXT_ERR_ALERT_FATAL = 2;

let target: CallbackTarget | undefined;
const addresses = new Map<string, number>();

/** Sets what the callbacks answer for until the next call; undefined: they refuse. */
export function setCallbackTarget(next: CallbackTarget | undefined): void {
  target = next;
}

function once(prototype: string, callback: (...values: never[]) => number): number {
  let address = addresses.get(prototype);
  if (address === undefined) {
    address = registerCallback(prototype, callback);
    addresses.set(prototype, address);
  }
  return address;
}

/** SSL_CTX_set_alpn_select_cb: the first of ours that the client offers, or the alert no_application_protocol. */
export function alpnCallback(): number {
  return once(
    'int millrace_alpn(uintptr_t, uintptr_t, uintptr_t, uintptr_t, uint32_t, uintptr_t)',
    (_ssl: number, out: number, outLength: number, offer: number, offerBytes: number): number => {
      try {
        const at = chooseProtocol(copyFrom(offer, offerBytes), target?.protocols ?? []);
        if (at < 0) {
          return SSL_TLSEXT_ERR_ALERT_FATAL;
        }
        // A pointer into the offer itself, which OpenSSL copies from as soon as we return.
        const answer = Buffer.alloc(8);
        answer.writeBigUInt64LE(BigInt(offer + at + 1));
        const libc = loadLibc();
        libc.memcpyIn(out, answer, 8);
        libc.memcpyIn(outLength, copyFrom(offer + at, 1), 1);
        return SSL_TLSEXT_ERR_OK;
      } catch {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
      }
    },
  );
}

/** Where in the offer (each name behind its length of 8 bits) the chosen protocol's length is; -1: there is none. */
export function chooseProtocol(offer: Buffer, protocols: readonly Buffer[]): number {
  for (const protocol of protocols) {
    for (let at = 0; at < offer.length; at += 1 + offer[at]!) {
      if (offer.subarray(at + 1, at + 1 + offer[at]!).equals(protocol)) {
        return at;
      }
    }
  }
  return -1;
}

/** SSL_CTX_set_verify: takes the certificate in any case; the result is for the handler to look at. */
export function acceptAnyCallback(): number {
  return once('int millrace_verify(int, uintptr_t)', () => 1);
}

/** SSL_CTX_set_tlsext_status_cb: the response was set before the handshake, if there is one. */
export function stapleCallback(): number {
  return once('int millrace_staple(uintptr_t, uintptr_t)', () => SSL_TLSEXT_ERR_OK);
}

/** SSL_CTX_set_keylog_callback. */
export function keyLogCallback(): number {
  return once('int millrace_keylog(uintptr_t, const char *)', (_ssl: number, line: string) => {
    try {
      target?.keyLog?.(line);
    } catch {
      // It is for debugging: a log that cannot be written must not break a handshake.
    }
    return 0;
  });
}
