/** Handlers that take bytes where they lie: with which driver they get them so, and who sees them. */

import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';

import { type OnDataAt, setDataAt } from '../src/hooks.js';
import { type Connection, type Handler, serve } from '../src/index.js';
import { awaitCondition } from './support/await-condition.js';
import { RawPeer } from './support/raw-peer.js';

/** A handler that counts the calls of both hooks, and joins what they got. */
class Recorder implements Handler {
  calls = { onData: 0, onDataAt: 0 };
  text = '';
  larger = 0;

  onData(_connection: Connection, bytes: Buffer): void {
    this.calls.onData += 1;
    this.text += bytes.toString('latin1');
  }

  at(_connection: Connection, memory: Buffer, start: number, end: number): void {
    this.calls.onDataAt += 1;
    this.larger += memory.length > end - start ? 1 : 0;
    this.text += memory.toString('latin1', start, end);
  }

  static {
    const { onData, at } = Recorder.prototype;
    setDataAt(onData, at as OnDataAt);
  }
}

async function exchange(t: TestContext, handler: Handler, seen: () => string): Promise<string> {
  const server = await serve({ listen: 'tcp://127.0.0.1:0', handler });
  t.after(() => server.close({ deadlineMs: 0 }));
  const peer = await RawPeer.connect(server.addresses[0]!);
  t.after(() => peer.close());
  let sent = '';
  for (const message of ['one', 'and two', 'x'.repeat(100_000), 'last']) {
    sent += message;
    await peer.sendAll(message);
    await awaitCondition(() => seen().length >= sent.length, 'the bytes');
    assert.ok(seen() === sent);
  }
  assert.equal(server.stats.totals.bytesReceived, sent.length);
  return server.driver;
}

describe('setDataAt', () => {
  it('gets all bytes in place of onData, where the driver has them in larger memory', async (t) => {
    const handler = new Recorder();
    const driver = await exchange(t, handler, () => handler.text);
    assert.equal(handler.calls.onDataAt > 0, driver === 'uring');
    assert.equal(handler.calls.onData > 0, driver !== 'uring');
    assert.equal(handler.larger > 0, driver === 'uring');
  });

  it('is passed over by whoever puts an onData of its own around it', async (t) => {
    const inner = new Recorder();
    let length = 0;
    const around = {
      onData(connection: Connection, bytes: Buffer): void {
        length += bytes.length;
        inner.onData(connection, bytes);
      },
    };
    for (const handler of [{ ...inner, ...around }, Object.assign(Object.create(inner), around)]) {
      inner.text = '';
      length = 0;
      await exchange(t, handler, () => inner.text);
      assert.equal(length, inner.text.length);
      assert.equal(inner.calls.onDataAt, 0);
    }
  });

  it('gets nothing while the connection is paused, and what came meanwhile after it', async (t) => {
    const handler = new Recorder();
    let connection: Connection | undefined;
    const opened = Object.assign(handler, {
      onOpen: (own: Connection) => {
        connection = own;
      },
    });
    const server = await serve({ listen: 'tcp://127.0.0.1:0', handler: opened });
    t.after(() => server.close({ deadlineMs: 0 }));
    const peer = await RawPeer.connect(server.addresses[0]!);
    t.after(() => peer.close());
    await peer.sendAll('before, ');
    await awaitCondition(() => handler.text === 'before, ', 'the first bytes');
    connection!.pause();
    await peer.sendAll('meanwhile, ');
    // What the kernel had taken already may be with the reactor now; none of it is reported.
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(handler.text, 'before, ');
    connection!.resume();
    await peer.sendAll('after');
    await awaitCondition(() => handler.text === 'before, meanwhile, after', 'all bytes in order');
  });
});
