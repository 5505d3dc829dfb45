/** A TLS echo handler for reactors in threads: greets with its reactor's index, and tells what it counted. */

import { readFileSync } from 'node:fs';

import type { Handler, Reactor } from '../../../src/index.js';
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
      tasks: {
        reused: () => reused,
        ids: (reactor: Reactor) => [...reactor.connections()].map(({ id }) => id),
        writeAll: (reactor: Reactor, ids: number[]) =>
          ids.map((id) => reactor.write(id, Buffer.from('from reactor 0 '))),
        writeFound(reactor: Reactor) {
          for (const { id } of reactor.connections()) {
            const found = reactor.find(id)!;
            found.write('1');
            found.writev([Buffer.from('2')]);
            found.writeOwned(Buffer.from('3'));
            found.writer.writeString('4');
            found.writer.flush();
          }
        },
      },
    },
  );
}
