/**
 * What the connections of one handler (or of one dial) have in common: the inner handler's hooks, taken out once, what
 * is counted, and who is told of failures.
 */

import type { Action, CloseReason, Connection, Handler } from '../api.js';
import type { TlsConnection } from './tls-connection.js';
import type { TlsError } from './tls-error.js';

/** What was counted since the handler was made, by this thread. */
export interface TlsStats {
  /** Handshakes that were begun, were done (of these: with a resumed session), failed, and passed their deadline. */
  handshakesStarted: number;
  handshakesDone: number;
  handshakesResumed: number;
  handshakesFailed: number;
  handshakesTimedOut: number;
  /** Handshakes that waited for a later turn. */
  handshakesDeferred: number;
  /** Connections that failed after their handshake, and that ended without close_notify. */
  protocolErrors: number;
  truncated: number;
  /** Open now, in handshake or after it. */
  connections: number;
}

type Hook<Arguments extends unknown[]> = ((...values: Arguments) => Action | void) | undefined;

export class Layer {
  readonly inner: Handler;
  readonly onOpen: Hook<[Connection]>;
  readonly onData: Hook<[Connection, Buffer]>;
  readonly onReadable: Hook<[Connection]>;
  readonly onDrain: Hook<[Connection]>;
  readonly onEnd: Hook<[Connection]>;
  readonly onClose: Hook<[Connection, CloseReason]>;
  readonly onServerClose: Hook<[Connection]>;
  readonly onHandshakeError: ((error: TlsError, connection: Connection) => void) | undefined;
  readonly stats: TlsStats;
  /** The layer whose transport's hooks these connections have: another one after they were handed over. */
  readonly root: Layer;
  /** A hook returned `shutdown`: to be returned to the transport. Of the root. */
  #isShutdownWanted = false;

  constructor(
    inner: Handler,
    onHandshakeError?: ((error: TlsError, connection: Connection) => void) | undefined,
    before?: Layer,
  ) {
    this.inner = inner;
    this.root = before?.root ?? this;
    this.stats = before?.stats ?? noStats();
    this.onOpen = inner.onOpen;
    this.onData = inner.onData;
    this.onReadable = inner.onReadable;
    this.onDrain = inner.onDrain;
    this.onEnd = inner.onEnd;
    this.onClose = inner.onClose;
    this.onServerClose = inner.onServerClose;
    this.onHandshakeError = onHandshakeError;
  }

  wantShutdown(): void {
    this.root.#isShutdownWanted = true;
  }

  /** What a hook of the transport returns: the user's `shutdown`, once. */
  takeAction(): 'shutdown' | undefined {
    if (!this.#isShutdownWanted) {
      return undefined;
    }
    this.#isShutdownWanted = false;
    return 'shutdown';
  }

  /** Tells of a failed handshake. What the user's function throws goes where a task's errors go. */
  reportHandshakeError(connection: TlsConnection, error: TlsError): void {
    const { onHandshakeError } = this;
    if (onHandshakeError === undefined) {
      return;
    }
    try {
      onHandshakeError(error, connection.base);
    } catch (thrown) {
      connection.base.reactor.execute(() => {
        throw thrown;
      });
    }
  }
}

function noStats(): TlsStats {
  return {
    handshakesStarted: 0,
    handshakesDone: 0,
    handshakesResumed: 0,
    handshakesFailed: 0,
    handshakesTimedOut: 0,
    handshakesDeferred: 0,
    protocolErrors: 0,
    truncated: 0,
    connections: 0,
  };
}
