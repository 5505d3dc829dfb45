/** A server in this thread with its reactor and both ends of its connections at hand, for tests of time. */

import {
  type CloseReason,
  type Connection,
  type Handler,
  type Reactor,
  type ServeOptions,
  type Server,
  serve,
} from '../../src/index.js';
import { awaitCondition } from './await-condition.js';
import { RawPeer } from './raw-peer.js';

export interface World {
  readonly server: Server;
  readonly url: string;
  readonly reactor: Reactor;
  readonly opened: Connection[];
  readonly closed: { connection: Connection; reason: CloseReason }[];
  /** Connects and gives both ends. */
  pair(): Promise<{ peer: RawPeer; connection: Connection }>;
  /** Resolves when a timer of the reactor's fires that is set now. */
  after(milliseconds: number): Promise<void>;
  /** Runs on the reactor, inside of a turn. */
  inTurn(task: () => void): Promise<void>;
}

/** What `endWorlds` ends. */
export const servers: Server[] = [];
export const peers: RawPeer[] = [];

/** Ends everything that was made; for `afterEach`. */
export async function endWorlds(): Promise<void> {
  for (const peer of peers.splice(0)) {
    peer.close();
  }
  await Promise.all(servers.splice(0).map((server) => server.close({ deadlineMs: 0 })));
}

export async function createWorld(
  options: Partial<ServeOptions> = {},
  handler: Handler = {},
): Promise<World> {
  const opened: Connection[] = [];
  const closed: World['closed'] = [];
  let reactor: Reactor | undefined;
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    ...options,
    handler: {
      ...handler,
      onBoot(booted) {
        reactor = booted;
      },
      onOpen: (connection) => void opened.push(connection),
      onClose: (connection, reason) => void closed.push({ connection, reason }),
    },
  });
  servers.push(server);
  const url = server.addresses[0]!;
  return {
    server,
    url,
    reactor: reactor!,
    opened,
    closed,
    async pair() {
      const { length } = opened;
      const peer = await RawPeer.connect(url, { receiveBufferBytes: 4_096 });
      peers.push(peer);
      await awaitCondition(() => opened.length > length, 'the connection');
      return { peer, connection: opened.at(-1)! };
    },
    after: (milliseconds) =>
      new Promise((resolve) => {
        reactor!.setTimer(milliseconds, resolve);
      }),
    inTurn: (task) =>
      new Promise((resolve) => {
        reactor!.execute(() => {
          task();
          resolve();
        });
      }),
  };
}
