/**
 * The handshake, of servers and clients alike: steps of OpenSSL until it is done, and its two ends. The connection is
 * announced to the handler (`onOpen`) when it is done, and never if it fails.
 */

import { takeErrors } from '../base/openssl.js';
import { setCallbackTarget } from './callbacks.js';
import type { ClientHello } from './client-hello.js';
import { GONE, OPENED } from './connection-flags.js';
import { failHandshake } from './giving-up.js';
import type { HandshakeQueue } from './handshake-queue.js';
import { callHook, receive } from './read-path.js';
import type { SecureContext } from './secure-context.js';
import type { TlsConnection } from './tls-connection.js';
import { TlsError } from './tls-error.js';
import { sendWritten } from './write-path.js';

/** Of SSL_get_error. */
const ERROR_WANT_READ = 2;

/** What a connection has only until its handshake is over. */
export interface Handshake {
  readonly queue: HandshakeQueue;
  deadline: number;
  previous: TlsConnection | undefined;
  next: TlsConnection | undefined;
  /** Servers: what came of the ClientHello so far. */
  bytes: Buffer | undefined;
  hello: ClientHello | undefined;
  /** Chosen for it, and held until the handshake is over. */
  context: SecureContext | undefined;
  /** Sets the ticket key that opens the client's ticket, and the current one again. */
  openTickets: ((isBefore: boolean) => void) | undefined;
  /** Clients: a session that is resumed must come from a handshake in which the server was found good. */
  mustVerify: boolean;
  /** Clients: tells the dial. */
  settle: ((error: Error | undefined) => void) | undefined;
}

export function startHandshake(c: TlsConnection, queue: HandshakeQueue): Handshake {
  const handshake: Handshake = {
    queue,
    deadline: 0,
    previous: undefined,
    next: undefined,
    bytes: undefined,
    hello: undefined,
    context: undefined,
    openTickets: undefined,
    mustVerify: false,
    settle: undefined,
  };
  c.handshake = handshake;
  c.layer.stats.handshakesStarted += 1;
  c.layer.stats.connections += 1;
  queue.add(c);
  return handshake;
}

/** Ciphertext for a handshake that has begun. */
export function continueHandshake(c: TlsConnection, bytes: Uint8Array): void {
  let at = 0;
  while (at < bytes.length && (c.flags & GONE) === 0) {
    if (c.handshake === undefined) {
      receive(c, bytes.subarray(at));
      return;
    }
    at += c.pipe.load(bytes, at);
    step(c);
  }
}

/** Goes on with what is loaded; what is left of it after the handshake is the first data. */
export function step(c: TlsConnection): void {
  const { pipe, ssl } = c;
  const { calls } = pipe;
  const handshake = c.handshake!;
  setCallbackTarget(handshake.context);
  handshake.openTickets?.(true);
  // Node's own use of OpenSSL may have left something that SSL_get_error would take for ours.
  calls.ERR_clear_error();
  const n = calls.SSL_do_handshake(ssl);
  const isWaiting = n !== 1 && calls.SSL_get_error(ssl, n) === ERROR_WANT_READ;
  handshake.openTickets?.(false);
  setCallbackTarget(undefined);
  if (n === 1 || isWaiting) {
    sendWritten(c);
    if (n === 1) {
      establish(c, handshake);
    }
    return;
  }
  const error = errorOf(c);
  pipe.drop();
  // The alert that says why.
  sendWritten(c);
  failHandshake(c, error, true);
}

function establish(c: TlsConnection, handshake: Handshake): void {
  const { pipe, layer, ssl } = c;
  const { calls } = pipe;
  calls.ERR_clear_error();
  const isReused = calls.SSL_session_reused(ssl) === 1;
  if (isReused && handshake.mustVerify && calls.SSL_get_verify_result(ssl) !== 0) {
    const text = 'The session that was resumed is of a server that was not verified';
    failHandshake(c, new TlsError('ERR_TLS_CERTIFICATE', text), true);
    return;
  }
  handshake.queue.remove(c);
  c.handshake = undefined;
  layer.stats.handshakesDone += 1;
  if (isReused) {
    layer.stats.handshakesResumed += 1;
  }
  if ((c.flags & GONE) !== 0) {
    // The peer reset right after its last message, as tools that measure handshakes do: there is nobody to announce.
    const reason = 'the peer reset the connection';
    handshake.settle?.(new TlsError('ERR_TLS_HANDSHAKE', 'The TLS handshake failed', reason));
    return;
  }
  c.flags |= OPENED;
  // The hook may use the pipe, as others do.
  const left = pipe.putAside();
  try {
    announce(c);
  } finally {
    // A hook that throws costs the connection, and the dial has one all the same.
    handshake.settle?.(undefined);
  }
  if (left !== undefined && (c.flags & GONE) === 0) {
    receive(c, left);
  }
}

function announce(c: TlsConnection): void {
  const { layer } = c;
  if (layer.onOpen === undefined) {
    return;
  }
  callHook(c, layer.onOpen);
}

function errorOf(c: TlsConnection): TlsError {
  const { calls } = c.pipe;
  const reason = takeErrors(calls)[0] ?? 'OpenSSL gives no reason';
  if (/certificate verify failed|did not return a certificate/.test(reason)) {
    const result = calls.SSL_get_verify_result(c.ssl);
    const why = result === 0 ? reason : calls.X509_verify_cert_error_string(result);
    return new TlsError('ERR_TLS_CERTIFICATE', "The peer's certificate was refused", why ?? reason);
  }
  return new TlsError('ERR_TLS_HANDSHAKE', 'The TLS handshake failed', reason);
}
