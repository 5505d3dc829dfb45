/**
 * Peers that reset: while we read, while we write, before we accept. Each costs its own connection and nothing else.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import {
  type CloseReason,
  type Connection,
  type Handler,
  type ServeOptions,
  type Server,
  SystemError,
  serve,
} from '../../src/index.js';
import { awaitCondition, rounds } from '../support/await-condition.js';
import type { StormReport } from '../support/engine-handlers/reset-storm.js';
import { RawPeer } from '../support/raw-peer.js';

const BIG = Buffer.alloc(8 * 1024 * 1024, 'x');

interface World {
  readonly server: Server;
  readonly url: string;
  readonly opened: Connection[];
  readonly closed: CloseReason[];
  readonly warnings: Error[];
}

/** A server in this thread whose hooks are `handler`'s, with opens and closes noted beside them. */
async function withWorld(
  handler: Handler,
  options: Partial<ServeOptions>,
  body: (world: World) => Promise<void>,
): Promise<void> {
  const opened: Connection[] = [];
  const closed: CloseReason[] = [];
  const warnings: Error[] = [];
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    handler: {
      ...handler,
      onOpen(connection) {
        opened.push(connection);
        return handler.onOpen?.(connection);
      },
      onClose: (_connection, reason) => void closed.push(reason),
    },
    onWarning: (warning) => warnings.push(warning),
    ...options,
  });
  try {
    await body({ server, url: server.addresses[0]!, opened, closed, warnings });
    assert.deepEqual(warnings, []);
  } finally {
    await server.close({ deadlineMs: 0 });
  }
}

function assertReset(reason: CloseReason | undefined): void {
  assert.equal(reason?.code, 'reset');
  assert.ok(reason.error instanceof SystemError);
  assert.ok(['ECONNRESET', 'EPIPE'].includes(reason.error.code), reason.error.code);
}

const echo: Handler = { onData: (connection, bytes) => void connection.write(bytes) };

describe('resets', () => {
  it('a reset right behind bytes is reported once, with its error', async () => {
    await withWorld(echo, {}, async ({ url, closed }) => {
      const peer = await RawPeer.connect(url);
      peer.send('ping');
      await peer.read(4);
      peer.send('more');
      peer.reset();
      await awaitCondition(() => closed.length > 0, 'the close');
      await rounds(10);
      assert.equal(closed.length, 1);
      assertReset(closed[0]);
    });
  });

  it('a reset while a reply is queued frees what was queued and says how much', async () => {
    let freed = 0;
    const handler: Handler = {
      onData(connection) {
        connection.writeOwned(BIG, () => {
          freed += 1;
        });
      },
    };
    await withWorld(handler, {}, async ({ url, closed, opened }) => {
      const peer = await RawPeer.connect(url, { receiveBufferBytes: 4_096 });
      peer.send('big');
      await awaitCondition(() => (opened[0]?.queuedBytes ?? 0) > 0, 'the queue');
      const queued = opened[0]!.queuedBytes;
      assert.equal(freed, 0);
      peer.reset();
      await awaitCondition(() => closed.length > 0, 'the close');
      assertReset(closed[0]);
      assert.ok(closed[0]!.unsentBytes > 0 && closed[0]!.unsentBytes <= queued);
      assert.equal(freed, 1);
    });
  });

  it('a write to a peer that has just reset says closed, and so does every later one', async () => {
    const results: string[] = [];
    let peer: RawPeer | undefined;
    const handler: Handler = {
      onData(connection) {
        peer!.reset();
        for (let i = 0; i < 3; i += 1) {
          results.push(connection.write('late'));
        }
        results.push(connection.state);
      },
    };
    // On epoll, where a write is a call; io_uring tells with the turn's completions.
    await withWorld(handler, { driver: 'epoll' }, async ({ url, closed }) => {
      peer = await RawPeer.connect(url);
      peer.send('go');
      await awaitCondition(() => closed.length > 0, 'the close');
      // The first may be gathered or meet the error; from the moment it is known nothing is taken.
      assert.ok(results.indexOf('closed') >= 0 && results.indexOf('closed') <= 1, results.join());
      assert.equal(results.at(-1), 'closed');
      assertReset(closed[0]);
    });
  });

  it('a paused connection learns of a reset', async () => {
    const handler: Handler = { onData: (connection) => connection.pause() };
    await withWorld(handler, {}, async ({ url, closed, opened }) => {
      const peer = await RawPeer.connect(url);
      peer.send('pause');
      await awaitCondition(() => opened[0]?.isPaused === true, 'the pause');
      peer.reset();
      await awaitCondition(() => closed.length > 0, 'the close');
      assertReset(closed[0]);
    });
  });

  it('a connection that was reset before it was accepted is opened and closed', async () => {
    await withWorld(echo, {}, async ({ url, opened, closed }) => {
      // All in one go: the reactor, which is in this thread, sees them only afterwards.
      const peers = Array.from({ length: 50 }, () => RawPeer.begin(url));
      for (const [i, peer] of peers.entries()) {
        if (i % 2 === 0) {
          peer.send('early');
        }
        peer.reset();
      }
      const survivor = await RawPeer.connect(url);
      survivor.send('ping');
      assert.equal((await survivor.read(4)).toString(), 'ping');
      await awaitCondition(() => closed.length === opened.length - 1, 'the closes');
      closed.forEach(assertReset);
      survivor.close();
    });
  });

  it('an async iterator throws on reset, after the bytes before it', async () => {
    const seen: string[] = [];
    const handler: Handler = {
      onOpen(connection) {
        void (async () => {
          try {
            for await (const chunk of connection) {
              seen.push(chunk.toString());
            }
            seen.push('done');
          } catch (error) {
            seen.push((error as SystemError).code);
          }
        })();
      },
    };
    await withWorld(handler, {}, async ({ url }) => {
      const peer = await RawPeer.connect(url);
      peer.send('one');
      await awaitCondition(() => seen.length === 1, 'the chunk');
      peer.reset();
      await awaitCondition(() => seen.length === 2, 'the error');
      assert.deepEqual(seen, ['one', 'ECONNRESET']);
    });
  });

  it('a reset after our FIN, when all is handed over, leaves a graceful close what it is', async () => {
    const handler: Handler = {
      onData(connection) {
        connection.write('bye');
        connection.close();
      },
    };
    await withWorld(handler, {}, async ({ url, closed }) => {
      const peer = await RawPeer.connect(url);
      peer.send('go');
      assert.equal((await peer.readToEnd()).bytes.toString(), 'bye');
      peer.reset();
      await awaitCondition(() => closed.length > 0, 'the close');
      assert.deepEqual(closed, [{ code: 'closed', unsentBytes: 0 }]);
    });
  });

  it('a reset in a half-open state, of either direction, is a reset', async () => {
    const handler: Handler = {
      onData: (connection, bytes) => {
        if (bytes.toString() === 'end') {
          connection.end();
        }
      },
    };
    await withWorld(handler, { allowHalfOpen: true }, async ({ url, closed, opened }) => {
      const ours = await RawPeer.connect(url);
      ours.send('end');
      assert.equal((await ours.readToEnd()).end, 'end');
      assert.equal(opened[0]!.state, 'half-closed-local');
      ours.reset();
      await awaitCondition(() => closed.length === 1, 'the first close');
      const theirs = await RawPeer.connect(url);
      theirs.end();
      await awaitCondition(() => opened[1]?.state === 'half-closed-remote', 'the FIN');
      theirs.reset();
      await awaitCondition(() => closed.length === 2, 'the second close');
      closed.forEach(assertReset);
    });
  });
});

const MODULE = new URL('../support/engine-handlers/reset-storm.js', import.meta.url);
const STORM = 400;

/** One peer of the storm: what it does before it resets depends on its number. */
async function rage(url: string, i: number): Promise<void> {
  const peer = RawPeer.begin(url);
  if (i % 5 === 0) {
    // Before it is accepted, most likely.
    peer.reset();
    return;
  }
  await awaitCondition(() => peer.isConnected, 'a connection');
  peer.send(['big', 'pause', 'echo', 'big'][i % 4]!);
  if (i % 3 === 0) {
    await rounds(i % 7);
  }
  peer.reset();
}

for (const reactors of [1, 3]) {
  it(`a storm of resets leaves nothing behind, ${reactors} reactor(s)`, async () => {
    const server = await serve({
      listen: 'tcp://127.0.0.1:0',
      handler: MODULE,
      reactors,
      onWarning: (warning) => assert.fail(warning),
    });
    try {
      const url = server.addresses[0]!;
      const bystander = await RawPeer.connect(url);
      await Promise.all(Array.from({ length: STORM }, (_, i) => rage(url, i)));
      bystander.send('still there');
      assert.equal((await bystander.read(11)).toString(), 'still there');
      await awaitCondition(() => server.stats.totals.connections === 1, 'the closes');
      const reports = (await server.executeAll('report')) as StormReport[];
      const opened = reports.reduce((sum, report) => sum + report.opened, 0);
      const closed = reports.reduce((sum, report) => sum + (report.reasons.reset ?? 0), 0);
      assert.equal(closed, opened - 1, JSON.stringify(reports));
      assert.ok(closed >= STORM * 0.7, `${closed} connections were opened`);
      assert.ok(reports.every(({ closedTwice }) => closedTwice === 0));
      assert.equal(server.stats.totals.queuedBytes, 0);
      bystander.close();
    } finally {
      await server.close({ deadlineMs: 0 });
    }
  });
}
