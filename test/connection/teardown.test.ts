/** Why a connection closed, and that nothing of it is left. */

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';

import type { CloseReason, Connection, Handler } from '../../src/api.js';
import type { SystemError } from '../../src/errors.js';
import type { PeerHabits, SimPeer } from '../sim/sim-peer.js';
import { type RigOptions, SimRig } from '../support/reactor-rig.js';

let rig: SimRig;
let reasons: CloseReason[];

async function open(handler: Handler = {}, options: RigOptions = {}, habits: PeerHabits = {}) {
  reasons = [];
  const onClose = (_connection: Connection, reason: CloseReason) => void reasons.push(reason);
  rig = SimRig.open({ ...handler, onClose }, options);
  return rig.connect(habits);
}

afterEach(() => rig.close());

/** The reason of the one onClose. */
async function reasonOf(): Promise<CloseReason> {
  await rig.until(() => reasons.length > 0);
  await rig.pass(100);
  assert.equal(reasons.length, 1);
  return reasons[0];
}

type Act = (connection: Connection, peer: SimPeer) => void;

describe('the reason', () => {
  const plain: [string, string, Act][] = [
    ['closed', 'closed', (connection) => connection.close()],
    ['aborted', 'aborted', (connection) => connection.abort()],
    ['ended', 'ended', (_connection, peer) => peer.end()],
    ['ended', 'ended after our end', (connection) => connection.end()],
    [
      'closed',
      'the first of two closes',
      (connection) => void [connection.close(), connection.close()],
    ],
    [
      'aborted',
      'an abort that follows a close',
      (connection) => void [connection.close(), connection.abort()],
    ],
    [
      'aborted',
      'an abort that a close follows',
      (connection) => void [connection.abort(), connection.close()],
    ],
  ];
  for (const [code, name, act] of plain) {
    it(`is ${code}: ${name}`, async () => {
      const { connection, peer } = await open();
      act(connection, peer);
      assert.deepEqual(await reasonOf(), { code, unsentBytes: 0 });
    });
  }

  it('is reset with the system’s error, and the peer’s address if that was asked for before', async () => {
    for (const isAsked of [true, false]) {
      const { connection, peer } = await open();
      const expected = isAsked ? connection.remoteAddress : undefined;
      peer.reset();
      const { code, error } = await reasonOf();
      const { code: name, syscall, address, message } = error as SystemError;
      assert.deepEqual(
        [code, name, syscall, address],
        ['reset', 'ECONNRESET', 'receive', expected],
      );
      assert.match(message, isAsked ? /^Cannot receive tcp:.*: / : /^Cannot receive: /);
      await rig.close();
    }
    await open();
  });

  it('is closed though the peer resets after all was handed over', async () => {
    const { connection, peer } = await open({}, {}, { endsWithPeer: false });
    connection.write('bye');
    connection.close();
    await rig.until(() => peer.hasEnded);
    peer.reset();
    assert.deepEqual(await reasonOf(), { code: 'closed', unsentBytes: 0 });
  });

  it('is reset when the peer resets while a close has still to send', async () => {
    const { connection, peer } = await open({}, {}, { isReadingStopped: true });
    connection.write(Buffer.alloc(1_000_000));
    connection.close();
    await rig.pass(10);
    peer.reset();
    const { code, unsentBytes } = await reasonOf();
    assert.equal(code, 'reset');
    assert.ok(unsentBytes > 0);
  });

  it('is handler with what was thrown, or an error around it', async () => {
    const thrown = new TypeError('a bug');
    const { peer } = await open({
      onData() {
        throw thrown;
      },
    });
    peer.send('x');
    assert.deepEqual(await reasonOf(), { code: 'handler', error: thrown, unsentBytes: 0 });
    assert.deepEqual(rig.warnings, [thrown]);
    await rig.close();
    const second = await open({
      onEnd() {
        throw 'text';
      },
    });
    second.peer.end();
    const { code, error } = await reasonOf();
    assert.deepEqual([code, error?.message], ['handler', 'A hook threw text']);
  });

  it('is overflow when the queue is full and the policy is to close', async () => {
    const options = { whenFull: 'close', writeQueueMax: 1_000 } as const;
    const { connection } = await open({}, options, { isReadingStopped: true });
    connection.write(Buffer.alloc(1_000_000));
    assert.equal(connection.write('x'), 'closed');
    const { code, unsentBytes } = await reasonOf();
    assert.equal(code, 'overflow');
    assert.ok(unsentBytes > 800_000);
    assert.equal(rig.stats.snapshot(0).refusedWriteOverflow, 1);
  });

  it('is shutdown when the reactor closes all', async () => {
    const { connection } = await open();
    rig.reactor.closeAll();
    assert.equal(connection.state, 'closing');
    assert.deepEqual(await reasonOf(), { code: 'shutdown', unsentBytes: 0 });
  });

  it('counts what was accepted and never handed over, to the byte', async () => {
    const { connection, peer } = await open({}, {}, { isReadingStopped: true });
    connection.write(Buffer.alloc(500_000));
    await rig.pass(10);
    connection.write('abc');
    const { queuedBytes, bytesSent } = connection;
    assert.equal(queuedBytes + bytesSent, 500_003);
    connection.abort();
    const { unsentBytes } = await reasonOf();
    assert.equal(unsentBytes, queuedBytes);
    assert.ok(peer.bytesReceived <= bytesSent);
  });

  it('of a common close is the same object each time, and cannot be changed', async () => {
    const { connection } = await open();
    const second = await rig.connect();
    connection.close();
    second.connection.close();
    await rig.until(() => reasons.length === 2);
    assert.equal(reasons[0], reasons[1]);
    assert.ok(Object.isFrozen(reasons[0]));
  });
});

describe('after the close', () => {
  it('queue, reader, writer, extras and gauges are gone', async () => {
    const { connection, peer } = await open(
      { onReadable: () => {} },
      {},
      { isReadingStopped: true },
    );
    connection.write(Buffer.alloc(300_000));
    connection.writer.writeString('never flushed');
    peer.send('never read');
    await rig.until(() => connection.reader.length > 0);
    void connection.drained();
    connection.setTimer(10_000, () => {});
    connection.abort();
    await reasonOf();
    const { state } = rig.reactor;
    const { queues, readers, writers, extras, teardowns, timerCallbacks } = state;
    for (const map of [queues, readers, writers, extras, teardowns, timerCallbacks]) {
      assert.equal(map.size, 0);
    }
    assert.deepEqual([state.connectionCount, state.queuedBytes, state.pool.usedBytes], [0, 0, 0]);
  });

  it('onClose that throws is told, and the slot is free again', async () => {
    const events: string[] = [];
    rig = SimRig.open({
      onOpen: () => void events.push('open'),
      onClose() {
        events.push('close');
        throw new Error('as told');
      },
    });
    const { connection } = await rig.connect();
    connection.abort();
    await rig.until(() => rig.warnings.length > 0);
    await rig.connect();
    assert.deepEqual(events, ['open', 'close', 'open']);
    assert.deepEqual(rig.warnings.map(String), ['Error: as told']);
  });
});
