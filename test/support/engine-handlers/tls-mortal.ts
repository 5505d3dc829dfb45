/**
 * WebSockets over TLS in threads, with compression contexts of their own and a root store: as much memory of native
 * libraries as a reactor can have. Its tasks make it die.
 */

import { readFileSync } from 'node:fs';

import { census } from '../../../src/base/openssl.js';
import { census as zlibCensus } from '../../../src/base/zlib.js';
import type { Reactor } from '../../../src/index.js';
import { dialTls, tlsHandler } from '../../../src/tls/index.js';
import { webSocketServer } from '../../../src/websocket/index.js';

export default function createHandler(data: { certFile: string; keyFile: string }) {
  const inner = webSocketServer({
    deflate: { contexts: 'own' },
    onMessage: (socket, message) => void socket.send(message),
    reactorHooks: {
      tasks: {
        exit: (_reactor: Reactor, code: number) => process.exit(code),
        throwLater: () => {
          setImmediate(() => {
            throw new Error('uncaught as told');
          });
        },
        count: (reactor: Reactor) => reactor.connectionCount,
        natives: () => ({ ssl: census.ssl, streams: zlibCensus.streams }),
        /** Makes a client's context, with node's root certificates, and fails. */
        dialNobody: (_reactor: Reactor, url: string) => dialTls(url).catch(() => {}),
      },
    },
  });
  return tlsHandler({ cert: readFileSync(data.certFile), key: readFileSync(data.keyFile) }, inner);
}
