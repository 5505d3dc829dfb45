/** Disposal as the language has it (`await using`), and `closed()`, over every transport and driver. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { type Connection, dial, serve } from '../../src/index.js';
import { awaitCondition } from '../support/await-condition.js';
import { NetClient } from '../support/net-client.js';

describe('Symbol.asyncDispose', () => {
  it('of a dialed connection closes it gracefully: what was written arrives', async () => {
    const received: Buffer[] = [];
    const reasons: string[] = [];
    const server = await serve({
      listen: 'tcp://127.0.0.1:0',
      handler: {
        onData: (_connection, bytes) => void received.push(Buffer.from(bytes)),
        onClose: (_connection, { code }) => void reasons.push(code),
      },
    });
    const connection = await dial(server.addresses[0]!);
    connection.write(Buffer.alloc(500_000, 'x'));
    await connection[Symbol.asyncDispose]();
    assert.equal(connection.state, 'closed');
    await awaitCondition(() => reasons.length === 1, 'the close');
    assert.equal(Buffer.concat(received).byteLength, 500_000);
    assert.deepEqual(reasons, ['ended']);
    // Once more is nothing.
    await connection[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    assert.equal(server.stats.totals.connections, 0);
    await server[Symbol.asyncDispose]();
  });

  it('of a server resolves when all is closed', async (t) => {
    const server = await serve({ listen: 'tcp://127.0.0.1:0', handler: {} });
    const client = await NetClient.connect(t, server.addresses[0]!);
    client.socket.on('end', () => client.socket.end());
    await server[Symbol.asyncDispose]();
    await client.closes();
    await assert.rejects(NetClient.connect(t, server.addresses[0]!));
  });
});

describe('closed()', () => {
  it('resolves for every way to close, for all who wait, also afterwards', async (t) => {
    const open: Connection[] = [];
    const server = await serve({
      listen: 'tcp://127.0.0.1:0',
      handler: {
        onOpen: (connection) => void open.push(connection),
        onData: (connection) => connection.abort(),
      },
    });
    t.after(() => server.close({ deadlineMs: 0 }));
    const ways: ((client: NetClient, connection: Connection) => void)[] = [
      (client) => client.socket.end(),
      (client) => client.socket.resetAndDestroy(),
      (_client, connection) => connection.abort(),
      (client, connection) => {
        connection.close();
        client.socket.end();
      },
      (client) => client.write('abort'),
    ];
    for (const [i, way] of ways.entries()) {
      const client = await NetClient.connect(t, server.addresses[0]!);
      await awaitCondition(() => open.length === i + 1, 'the connection');
      const both = Promise.all([open[i]!.closed(), open[i]!.closed()]);
      assert.notEqual(open[i]!.state, 'closed');
      way(client, open[i]!);
      await both;
      assert.equal(open[i]!.state, 'closed');
      await open[i]!.closed();
    }
  });
});
