/** Deadlines of connections, on a reactor in virtual time: each passes when it is due, and not a moment before. */

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';

import type { ConnectionOptions } from '../../src/api.js';
import { hookNotes, SimRig } from '../support/reactor-rig.js';

let rig: SimRig;
let events: string[];

async function open(options: ConnectionOptions = {}, habits = {}) {
  events = [];
  rig = SimRig.open(hookNotes(events), options);
  return rig.connect(habits);
}

afterEach(() => rig.close());

/** Milliseconds from now to the close. */
async function timeToClose(): Promise<number> {
  const start = rig.world.now;
  await rig.until(() => events.some((event) => event.startsWith('close')));
  return rig.world.now - start;
}

const closing = () => events.at(-1);

function expectAbout(milliseconds: number, expected: number): void {
  assert.ok(milliseconds >= expected && milliseconds < expected + 3, `${milliseconds} ms`);
}

describe('the idle timeout', () => {
  it('passes when no byte came or went', async () => {
    await open({ idleTimeoutMs: 500 });
    expectAbout(await timeToClose(), 499);
    assert.equal(closing(), 'close idle');
    assert.equal(rig.stats.snapshot(0).timeoutIdle, 1);
  });

  it('is put off by bytes of either direction, without a timer set for each', async () => {
    const { peer, connection } = await open({ idleTimeoutMs: 500 });
    for (let i = 0; i < 10; i += 1) {
      await rig.pass(300);
      if (i % 2 === 0) {
        peer.send('x');
      } else {
        connection.write('y');
      }
    }
    expectAbout(await timeToClose(), 499);
    assert.ok(rig.stats.snapshot(0).timersFired < 12);
  });
});

describe('the read timeout', () => {
  it('is not put off by what we send', async () => {
    const { connection } = await open({ readTimeoutMs: 500 });
    await rig.pass(400);
    connection.write('y');
    expectAbout(await timeToClose(), 98);
    assert.equal(closing(), 'close read');
  });

  it('does not count the time of a pause', async () => {
    const { connection } = await open({ readTimeoutMs: 500 });
    await rig.pass(400);
    connection.pause();
    await rig.pass(5_000);
    assert.deepEqual(events, ['open']);
    connection.resume();
    expectAbout(await timeToClose(), 499);
  });

  it('does not count after the peer has ended', async () => {
    const { peer, connection } = await open(
      { readTimeoutMs: 500, allowHalfOpen: true, halfOpenTimeoutMs: 0 },
      { endsWithPeer: false },
    );
    peer.end();
    await rig.pass(5_000);
    assert.deepEqual([events, connection.state], [['open', 'end'], 'half-closed-remote']);
  });
});

describe('the write timeout', () => {
  it('passes when the peer takes nothing, and is put off by each byte it takes', async () => {
    const { peer, connection } = await open(
      { writeTimeoutMs: 500, writeQueueMax: 10_000_000 },
      { isReadingStopped: true, readMax: 1_000 },
    );
    connection.write(Buffer.alloc(1_000_000));
    await rig.pass(400);
    peer.startReading();
    await rig.until(() => peer.bytesReceived > 70_000);
    peer.stopReading();
    const queued = connection.queuedBytes;
    assert.ok(queued > 0);
    const waited = await timeToClose();
    assert.ok(waited > 490 && waited < 503, `${waited} ms`);
    assert.equal(closing(), 'close write');
  });

  it('of corked bytes counts from their write, not from an earlier one', async () => {
    const { connection } = await open({ writeTimeoutMs: 500, idleTimeoutMs: 10_000 });
    await rig.pass(2_000);
    connection.cork();
    connection.write('x');
    await rig.pass(450);
    connection.setIdleTimeout(10);
    assert.ok((await timeToClose()) < 20);
    assert.equal(closing(), 'close idle');
  });

  it('does not count when nothing is queued', async () => {
    const { connection } = await open({ writeTimeoutMs: 500 });
    connection.write('x');
    await rig.pass(5_000);
    assert.equal(connection.state, 'open');
  });
});

describe('the linger timeout', () => {
  it('ends a close whose peer does not end, as closed', async () => {
    const { connection } = await open({ lingerTimeoutMs: 500 }, { endsWithPeer: false });
    connection.close();
    expectAbout(await timeToClose(), 499);
    assert.equal(closing(), 'close closed');
  });

  it('ends a close whose bytes are not taken, as a timeout', async () => {
    const { connection } = await open({ lingerTimeoutMs: 500 }, { isReadingStopped: true });
    connection.write(Buffer.alloc(1_000_000));
    connection.close();
    expectAbout(await timeToClose(), 499);
    assert.equal(closing(), 'close linger');
  });

  it('of 0 closes at once', async () => {
    const { connection } = await open({ lingerTimeoutMs: 0 }, { endsWithPeer: false });
    connection.close();
    assert.ok((await timeToClose()) < 2);
    assert.equal(closing(), 'close closed');
  });
});

describe('the half-open timeout', () => {
  it('closes a connection whose peer has ended and that we do not end', async () => {
    const { peer } = await open(
      { allowHalfOpen: true, halfOpenTimeoutMs: 500 },
      { endsWithPeer: false },
    );
    peer.end();
    expectAbout(await timeToClose(), 499);
    assert.equal(closing(), 'close ended');
  });
});

describe('timeouts that are set later', () => {
  it('count from then on; the nearer one wins, and 0 removes one', async () => {
    const { connection } = await open();
    await rig.pass(10_000);
    connection.setIdleTimeout(2_000);
    connection.setReadTimeout(300);
    connection.setReadTimeout(0);
    await rig.pass(1_900);
    assert.deepEqual(events, ['open']);
    connection.setReadTimeout(50);
    expectAbout(await timeToClose(), 49);
    assert.equal(closing(), 'close read');
  });

  it('can be brought forward and put off', async () => {
    const { connection } = await open({ idleTimeoutMs: 10_000 });
    connection.setIdleTimeout(100);
    await rig.pass(50);
    connection.setIdleTimeout(1_000);
    await rig.pass(900);
    assert.deepEqual(events, ['open']);
    connection.setIdleTimeout(0);
    await rig.pass(100_000);
    assert.deepEqual(events, ['open']);
  });

  it('leave no timer behind when the connection closes', async () => {
    const { connection } = await open({ idleTimeoutMs: 1_000 });
    connection.setTimer(1_000, () => events.push('timer'));
    connection.abort();
    await rig.pass(5_000);
    assert.deepEqual(events, ['open', 'close aborted']);
    assert.equal(rig.reactor.state.wheel.size, 0);
  });
});
