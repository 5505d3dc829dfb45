/** Connections over TLS that nobody holds any more are closed and counted; those that somebody holds are not. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import type tls from 'node:tls';

import { type Connection, serve } from '../../src/index.js';
import { Watcher } from '../../src/proactor/index.js';
import { dialTls, tlsHandler } from '../../src/tls/index.js';
import { awaitCondition, rounds, settled } from '../support/await-condition.js';
import { memoryFigures } from '../support/process-figures.js';
import { certificates } from '../support/tls-pair.js';
import { checkLeaks, cleanUp, NodeClient, startTls } from '../support/tls-rig.js';

const COUNT = 20;

checkLeaks();

async function collectUntil(condition: () => boolean, what: string): Promise<void> {
  await awaitCondition(() => {
    memoryFigures();
    return condition();
  }, what);
}

function newWatcher(): Watcher {
  const watcher = new Watcher();
  cleanUp(() => watcher.close());
  return watcher;
}

/** So many results, of which nothing is kept; `onRead` for each read. */
async function take(
  watcher: Watcher,
  count: number,
  onRead: (connection: Connection) => void = () => {},
): Promise<void> {
  for (let taken = 0; taken < count; ) {
    for (const { operation, connection, error } of (await settled(watcher.waitIo(), 'results'))!) {
      assert.equal(error, undefined);
      if (operation === 'read') {
        onRead(connection);
      }
      taken += 1;
    }
  }
}

/** A server that hands each connection to the watcher, in the hook, and clients whose five bytes it has answered. */
async function serveSome(watcher: Watcher, count: number, held?: Connection[]) {
  const { url, port, server } = await startUnseen(watcher, held);
  const clients: NodeClient[] = [];
  for (let i = 0; i < count; i += 1) {
    const trusting = { ca: certificates.ca.cert, servername: 'localhost' };
    const client = await NodeClient.connect(port, trusting);
    client.socket.write('there');
    clients.push(client);
  }
  await take(watcher, 2 * count, (connection) => {
    watcher.write(connection, Buffer.from('hello'));
  });
  return { url, server, clients };
}

/** `startTls` remembers each connection that it has seen: here the handler is its own. */
async function startUnseen(watcher: Watcher, held: Connection[] | undefined) {
  const { cert, key } = certificates.server;
  const handler = tlsHandler(
    { cert, key },
    {
      onOpen(connection) {
        held?.push(connection);
        watcher.readFull(connection, Buffer.alloc(5));
      },
    },
  );
  const server = await serve({ listen: 'tcp://127.0.0.1:0', handler });
  cleanUp(() => server.close({ deadlineMs: 0 }));
  const url = server.addresses[0]!;
  return { server, url, port: Number(url.split(':').at(-1)) };
}

async function endOf(socket: tls.TLSSocket): Promise<void> {
  await awaitCondition(() => socket.readableEnded || socket.destroyed, 'the end');
}

it('closes what nobody holds, in order, and counts it', async () => {
  const watcher = newWatcher();
  const { clients } = await serveSome(watcher, COUNT);
  await collectUntil(() => watcher.stats.leaksFound === COUNT, 'all leaks');
  for (const client of clients) {
    await endOf(client.socket);
    assert.equal(client.error, undefined);
    assert.equal(client.receivedBytes, 5);
  }
  await awaitCondition(() => watcher.stats.leaksClosed === COUNT, 'their close');
  assert.equal(watcher.stats.connections, 0);
  assert.equal(watcher.stats.operations, 0);
});

it('does not close what is held, nor what has an operation pending', async () => {
  const watcher = newWatcher();
  const held: Connection[] = [];
  const { clients } = await serveSome(watcher, 4, held);
  // The last two are held by their reads.
  for (const connection of held.splice(2)) {
    watcher.read(connection);
  }
  await serveSome(watcher, 3);
  await collectUntil(() => watcher.stats.leaksFound >= 3, 'the leaks');
  for (let i = 0; i < 3; i += 1) {
    memoryFigures();
    await rounds(5);
  }
  assert.equal(watcher.stats.leaksFound, 3);
  assert.ok(held.every(({ state }) => state === 'open'));
  for (const client of clients.slice(2)) {
    client.socket.write('x');
  }
  await take(watcher, 2, (connection) => assert.equal(connection.state, 'open'));
});

it('closes dialed connections, too', async () => {
  const { url } = await startTls(certificates);
  const watcher = newWatcher();
  await (async () => {
    for (let i = 0; i < 3; i += 1) {
      const options = { ca: certificates.ca.cert, serverName: 'localhost' };
      const connection = await dialTls(url, { ...options, handler: {} });
      watcher.write(connection, Buffer.from('hello'));
      watcher.readFull(connection, Buffer.alloc(5));
    }
    await take(watcher, 6);
  })();
  await rounds(3);
  await collectUntil(() => watcher.stats.leaksFound === 3, 'the leaks');
  await awaitCondition(() => watcher.stats.leaksClosed === 3, 'their close');
});
