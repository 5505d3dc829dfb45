/** TLS in threads, plain or under WebSockets with a hub; its tasks ask the reactor for connections by their ids. */

import { readFileSync } from 'node:fs';

import type { Connection, Handler, Reactor } from '../../../src/index.js';
import { type SecureConnection, tlsHandler } from '../../../src/tls/index.js';
import { WebSocketHub, webSocketServer } from '../../../src/websocket/index.js';

export interface FacesData {
  readonly certFile: string;
  readonly keyFile: string;
  readonly isWebSocket: boolean;
}

type Order = readonly [id: number, what: 'end' | 'close' | 'abort' | 'write' | 'writev' | 'wake'];

/** The objects that the hooks got. */
const opened = new Set<Connection>();

const tasks = {
  ids: (reactor: Reactor) => [...reactor.connections()].map(({ id }) => id),
  /** What is found is what the hooks got, with their context. */
  facts(reactor: Reactor, id: number) {
    const found = reactor.find(id) as SecureConnection | undefined;
    return {
      isOurs: found !== undefined && opened.has(found),
      isListed: [...reactor.connections()].some((connection) => connection === found),
      protocol: found?.tls?.protocol,
      state: found?.state,
    };
  },
  order(reactor: Reactor, [id, what]: Order) {
    const found = reactor.find(id);
    if (what === 'write') {
      return found?.write('written');
    }
    if (what === 'writev') {
      return found?.writev([Buffer.from('writ'), Buffer.from('ten')]);
    }
    found?.[what]();
    return found?.state;
  },
  writeById: (reactor: Reactor, id: number) => reactor.write(id, Buffer.from('by id')),
};

function webSockets(): Handler {
  const hub = new WebSocketHub();
  return webSocketServer({
    hub,
    deflate: true,
    onOpen(socket) {
      opened.add(socket.connection);
      hub.subscribe(socket, 'all');
    },
    onMessage: (_socket, data) => void hub.publish('all', data),
    reactorHooks: { tasks },
  });
}

const plain: Handler<string> = {
  onOpen(connection) {
    opened.add(connection);
    connection.context = 'ours';
  },
  onData(connection, bytes) {
    connection.write(`${connection.context} ${bytes}`);
  },
  tasks,
};

export default function createHandler({ certFile, keyFile, isWebSocket }: FacesData): Handler {
  const inner = isWebSocket ? webSockets() : (plain as Handler);
  return tlsHandler({ cert: readFileSync(certFile), key: readFileSync(keyFile) }, inner);
}
