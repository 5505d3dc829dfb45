/** Servers of `@grpc/grpc-js` on our connections. Nothing of that package is imported: what is needed stands here. */

import type { Duplex } from 'node:stream';

import type { Handler } from '../api.js';
import { type DuplexOptions, toDuplex } from './connection-duplex.js';

/** The part of `grpc.Server` that is needed: it takes connections from elsewhere since grpc-js 1.11. */
export interface GrpcServerLike<Credentials> {
  createConnectionInjector(credentials: Credentials): {
    injectConnection(connection: Duplex): void;
    /** Sends GOAWAY on all connections; those that have not ended after `graceTimeMs` are cancelled. */
    drain(graceTimeMs: number): void;
  };
}

/** The deadline is that of our server's close; the one that `drain` wants only has to be later. */
const GRACE_MS = 3_600_000;

/**
 * A handler that gives its connections to a server of `@grpc/grpc-js`, which does not listen itself: what
 * `bindAsync` takes a port and credentials for, `serve` and this do. With `ServerCredentials.createSsl` Node speaks
 * TLS on them; with `millrace/tls` (ALPN `h2`) around the handler, and `createInsecure`, we do.
 *
 * When the server that `serve` gives closes, clients are told (GOAWAY), and each connection ends when its calls have,
 * or at the deadline. Make one for each `serve`, and close that; `grpc.Server` has nothing to close.
 *
 * @throws TypeError for what is no `grpc.Server` of grpc-js 1.11 or later; what grpc-js throws for other credentials.
 */
export function grpcHandler<Credentials>(
  server: GrpcServerLike<Credentials>,
  credentials: Credentials,
  options: DuplexOptions = {},
): Handler {
  if (typeof server?.createConnectionInjector !== 'function') {
    throw new TypeError(
      `Expected a grpc.Server of @grpc/grpc-js 1.11 or later, got ${String(server)}`,
    );
  }
  const injector = server.createConnectionInjector(credentials);
  let isDraining = false;
  return {
    onOpen(connection): void {
      injector.injectConnection(toDuplex(connection, options));
    },
    onServerClose(): void {
      // Once for all: each call of `drain` goes through all connections.
      if (!isDraining) {
        isDraining = true;
        injector.drain(GRACE_MS);
      }
    },
  };
}
