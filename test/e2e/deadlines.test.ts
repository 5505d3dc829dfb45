/**
 * Deadlines. Nothing here measures time: a timer of the reactor's that was set later, or an order of events,
 * says that a deadline passed and did nothing.
 */

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';

import { type CloseReason, type Connection, serve } from '../../src/index.js';
import { awaitCondition, rounds } from '../support/await-condition.js';
import { RawPeer, rawKernel } from '../support/raw-peer.js';
import { createWorld, endWorlds, peers, servers, type World } from '../support/timed-world.js';

const HOUR = 3_600_000;

afterEach(endWorlds);

async function closeOf(world: World, connection: Connection): Promise<CloseReason> {
  const find = () => world.closed.filter((each) => each.connection === connection);
  await awaitCondition(() => find().length > 0, 'the close');
  assert.equal(find().length, 1);
  return find()[0]!.reason;
}

/** Stays in the calling turn until the clock has moved on. */
function spin(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end) {
    // On purpose.
  }
}

/** Writes until nothing more is taken. */
function fill(connection: Connection): void {
  const bytes = Buffer.alloc(256 * 1024);
  while (connection.write(bytes) !== 'full') {
    // The kernel takes some, the queue the rest.
  }
}

describe('deadlines of many connections', () => {
  it('thousands that expire in one tick close each connection once', async () => {
    const count = Math.min(8_000, Math.floor((rawKernel.descriptorLimit() - 500) / 2));
    const world = await createWorld();
    for (let i = 0; i < count; i += 200) {
      peers.push(...(await RawPeer.connectMany(world.url, Math.min(200, count - i))));
    }
    await awaitCondition(() => world.opened.length === count, 'all connections');
    await world.inTurn(() => {
      for (const connection of world.opened) {
        connection.setIdleTimeout(5);
      }
    });
    await awaitCondition(() => world.closed.length >= count, 'all closes');
    await rounds(5);
    assert.equal(new Set(world.closed.map(({ connection }) => connection)).size, count);
    assert.equal(world.closed.length, count);
    assert.ok(world.closed.every(({ reason }) => reason.timeout === 'idle'));
    assert.equal(world.server.stats.totals.timeoutIdle, count);
    assert.equal(peers.at(-1)!.receive(), 'ECONNRESET');
  });
});

for (const reactors of [1, 3]) {
  it(`idle connections are closed on each of ${reactors} reactor(s)`, async () => {
    const server = await serve({
      listen: 'tcp://127.0.0.1:0',
      handler: new URL('../support/engine-handlers/echo.js', import.meta.url),
      reactors,
      idleTimeoutMs: 20,
    });
    servers.push(server);
    peers.push(...(await RawPeer.connectMany(server.addresses[0]!, 300)));
    await awaitCondition(() => server.stats.totals.closed === 300, 'all closes');
    const { opened, timeoutIdle, connections } = server.stats.totals;
    assert.deepEqual([opened, timeoutIdle, connections], [300, 300, 0]);
    for (const peer of peers) {
      assert.equal((await peer.readToEnd()).end, 'ECONNRESET');
    }
  });
}

describe('idle and read timeouts', () => {
  it('can be brought forward, put off and taken away', async () => {
    const world = await createWorld();
    const { connection: sooner } = await world.pair();
    const { connection: later } = await world.pair();
    const { connection: never } = await world.pair();
    for (const set of ['setIdleTimeout', 'setReadTimeout'] as const) {
      later[set](2);
      never[set](2);
      later[set](HOUR);
      never[set](0);
    }
    sooner.setIdleTimeout(HOUR);
    sooner.setIdleTimeout(1);
    assert.equal((await closeOf(world, sooner)).timeout, 'idle');
    await world.after(20);
    assert.deepEqual([later.state, never.state], ['open', 'open']);
  });

  it('a byte that is there when the deadline is looked at counts', async () => {
    const world = await createWorld({}, { onData() {} });
    for (const set of ['setIdleTimeout', 'setReadTimeout'] as const) {
      const { peer, connection } = await world.pair();
      await world.inTurn(() => {
        connection[set](400);
        peer.send('just in time');
        spin(450);
      });
      await rounds(3);
      assert.equal(connection.state, 'open');
      assert.equal(connection.bytesReceived, 12);
      // And the next deadline counts from there.
      assert.equal((await closeOf(world, connection)).code, 'timeout');
    }
  });

  it('what we send keeps an idle connection, and not one that waits for the peer', async () => {
    const world = await createWorld();
    // Where the machine stood still for longer than the timeout, the connection was idle indeed: then again, slower.
    for (let timeout = 20, isProved = false; !isProved; timeout *= 2) {
      assert.ok(timeout < 5_000, 'the machine never kept going');
      const { connection: idle } = await world.pair();
      const { connection: reading } = await world.pair();
      let writes = 0;
      let last = Number.POSITIVE_INFINITY;
      let longestGap = 0;
      const write = () => {
        const now = performance.now();
        longestGap = Math.max(longestGap, now - last);
        last = now;
        if (writes < 50) {
          writes += 1;
          idle.write('.');
          reading.write('.');
          world.reactor.setTimer(timeout / 10, write);
        }
      };
      await world.inTurn(() => {
        idle.setIdleTimeout(timeout);
        reading.setReadTimeout(timeout);
        write();
      });
      assert.equal((await closeOf(world, reading)).timeout, 'read');
      assert.equal((await closeOf(world, idle)).timeout, 'idle');
      const before = writes;
      await awaitCondition(() => writes === 50, 'the last write');
      isProved = longestGap < timeout / 2;
      assert.ok(!isProved || before === 50, `closed after ${before} writes`);
    }
  });

  it('the time of a pause is not the peer’s', async () => {
    const world = await createWorld({}, { onData() {} });
    const { connection } = await world.pair();
    connection.setReadTimeout(5);
    connection.pause();
    await world.after(25);
    assert.equal(connection.state, 'open');
    connection.resume();
    assert.equal((await closeOf(world, connection)).timeout, 'read');
  });

  it('a read timeout is over with the peer’s FIN', async () => {
    const world = await createWorld({
      allowHalfOpen: true,
      halfOpenTimeoutMs: 0,
      readTimeoutMs: 5,
    });
    const { peer, connection } = await world.pair();
    peer.end();
    await awaitCondition(() => connection.state === 'half-closed-remote', 'the FIN');
    await world.after(25);
    assert.equal(connection.state, 'half-closed-remote');
  });

  it('are no concern of the connection that has the slot next', async () => {
    const world = await createWorld({}, { onData() {} });
    const { connection: first } = await world.pair();
    first.setReadTimeout(10);
    first.setIdleTimeout(10);
    first.abort();
    await closeOf(world, first);
    const { connection: second } = await world.pair();
    assert.equal(second.id % 2 ** 21, first.id % 2 ** 21, 'the slot is used again');
    second.setIdleTimeout(HOUR);
    await world.after(30);
    assert.equal(second.state, 'open');
    second.setIdleTimeout(0);
    second.setReadTimeout(HOUR);
    await world.after(30);
    assert.equal(second.state, 'open');
  });

  it('take whole milliseconds up to 2^32 - 1', async () => {
    const world = await createWorld();
    const { connection } = await world.pair();
    for (const set of ['setIdleTimeout', 'setReadTimeout', 'setWriteTimeout'] as const) {
      for (const wrong of [-1, 0.5, 2 ** 32, Number.NaN, '5' as unknown as number]) {
        assert.throws(() => connection[set](wrong), RangeError);
      }
      connection[set](2 ** 32 - 1);
    }
    assert.equal(connection.state, 'open');
  });
});

describe('write timeouts', () => {
  it('a peer that takes nothing is given up, and what it did not take is told', async () => {
    const world = await createWorld({ writeTimeoutMs: 20 });
    const { connection } = await world.pair();
    await world.inTurn(() => fill(connection));
    const queued = connection.queuedBytes;
    const reason = await closeOf(world, connection);
    assert.equal(reason.timeout, 'write');
    assert.ok(reason.unsentBytes > 0 && reason.unsentBytes <= queued);
    assert.equal(world.server.stats.totals.timeoutWrite, 1);
  });

  it('can be set while the peer blocks', async () => {
    const world = await createWorld({ writeTimeoutMs: 0 });
    const { connection } = await world.pair();
    await world.inTurn(() => fill(connection));
    await world.after(20);
    assert.equal(connection.state, 'open');
    connection.setWriteTimeout(HOUR);
    connection.setWriteTimeout(1);
    assert.equal((await closeOf(world, connection)).timeout, 'write');
  });

  it('do not count the time before there was anything to send', async () => {
    // A deadline of the half-open state looks at all the others, this one included.
    const world = await createWorld(
      { allowHalfOpen: true, writeTimeoutMs: 10_000 },
      { onData() {} },
    );
    const { peer, connection } = await world.pair();
    connection.cork();
    connection.write('held back');
    peer.end();
    await awaitCondition(() => connection.state === 'half-closed-remote', 'the FIN');
    await world.after(5);
    assert.equal(connection.state, 'half-closed-remote');
    connection.uncork();
    assert.equal((await peer.read(9)).toString(), 'held back');
  });
});

describe('deadlines of closing', () => {
  it('a peer that never ends is left after the linger time, and nothing went wrong', async () => {
    const world = await createWorld({ lingerTimeoutMs: 10 });
    const { peer, connection } = await world.pair();
    connection.write('bye');
    connection.close();
    assert.deepEqual(await closeOf(world, connection), { code: 'closed', unsentBytes: 0 });
    assert.deepEqual(await peer.readToEnd(), { bytes: Buffer.from('bye'), end: 'end' });
  });

  it('a peer that does not take the rest is reset after the linger time', async () => {
    const world = await createWorld({ lingerTimeoutMs: 10 });
    const { connection } = await world.pair();
    await world.inTurn(() => fill(connection));
    connection.close();
    const reason = await closeOf(world, connection);
    assert.equal(reason.timeout, 'linger');
    assert.ok(reason.unsentBytes > 0);
    assert.equal(world.server.stats.totals.timeoutLinger, 1);
  });

  it('a half-open connection is closed after its time', async () => {
    const world = await createWorld({ allowHalfOpen: true, halfOpenTimeoutMs: 10 });
    const { peer, connection } = await world.pair();
    peer.end();
    assert.equal((await closeOf(world, connection)).code, 'ended');
    assert.equal((await peer.readToEnd()).end, 'end');
  });

  it('idle and read timeouts do not cut a graceful close short', async () => {
    const world = await createWorld({ lingerTimeoutMs: HOUR });
    const { peer, connection } = await world.pair();
    connection.setIdleTimeout(5);
    connection.setReadTimeout(5);
    connection.close();
    await world.after(25);
    assert.equal(connection.state, 'closing');
    peer.end();
    assert.equal((await closeOf(world, connection)).code, 'closed');
  });
});
