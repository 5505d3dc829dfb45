/** A TLS echo handler for reactors in threads: greets with its reactor's index, and tells what it counted. */

import { readFileSync } from 'node:fs';

import type { Handler } from '../../../src/index.js';
import { type SecureConnection, tlsHandler } from '../../../src/tls/index.js';

export interface TlsData {
  readonly certFile: string;
  readonly keyFile: string;
  readonly tickets: SharedArrayBuffer;
}

export default function createHandler({ certFile, keyFile, tickets }: TlsData): Handler {
  const reused: boolean[] = [];
  return tlsHandler(
    { cert: readFileSync(certFile), key: readFileSync(keyFile), tickets },
    {
      onOpen(connection) {
        reused.push((connection as SecureConnection).tls.isSessionReused);
        connection.write(`${connection.reactor.index}`);
      },
      onData: (connection, bytes) => void connection.write(bytes),
      tasks: { reused: () => reused },
    },
  );
}
