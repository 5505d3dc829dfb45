/** What a connection is and says of itself, on the real kernel and from outside; see also connection-*.test.ts. */

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';

import type { Connection, ConnectionState, Handler } from '../../src/api.js';
import { SystemError } from '../../src/errors.js';
import { awaitCondition, rounds } from '../support/await-condition.js';
import { rawKernel } from '../support/raw-peer.js';
import { hookNotes, LinuxRig, type RigOptions } from '../support/reactor-rig.js';

let rig: LinuxRig;

afterEach(async () => {
  assert.equal(await rig.close(), 0, 'blocks were kept');
});

async function open(handler: Handler = {}, options: RigOptions = {}) {
  rig = LinuxRig.open(handler, options);
  return rig.connect();
}

const isOver = (connection: Connection) => (connection as { slot?: number }).slot! < 0;

describe('id', () => {
  it('stays the same after the close, and is never given again', async () => {
    const ids = new Set<number>();
    rig = LinuxRig.open({});
    for (let i = 0; i < 5; i += 1) {
      const { connection } = await rig.connect();
      const { id } = connection;
      assert.equal(rig.reactor.find(id), connection);
      connection.abort();
      await awaitCondition(() => isOver(connection), 'the close');
      assert.equal(connection.id, id);
      assert.equal(rig.reactor.find(id), undefined);
      ids.add(id);
    }
    assert.equal(ids.size, 5);
  });
});

describe('state', () => {
  it('goes open, half-closed-local, closed when we end first', async () => {
    const { peer, connection } = await open();
    const states: ConnectionState[] = [connection.state];
    connection.end();
    states.push(connection.state);
    assert.equal(connection.write('x'), 'closed');
    peer.end();
    await awaitCondition(() => isOver(connection), 'the close');
    assert.deepEqual([...states, connection.state], ['open', 'half-closed-local', 'closed']);
  });

  it('goes half-closed-remote, closed when the peer ends first', async () => {
    const { peer, connection } = await open({}, { allowHalfOpen: true });
    peer.end();
    await awaitCondition(() => connection.state !== 'open', 'the end');
    assert.equal(connection.state, 'half-closed-remote');
    assert.equal(connection.write('still'), 'sent');
    connection.end();
    assert.equal(connection.state, 'closed');
    assert.equal((await peer.readToEnd()).bytes.toString(), 'still');
  });

  it('is closing until the peer has ended too, and nothing is delivered meanwhile', async () => {
    const events: string[] = [];
    const { peer, connection } = await open(hookNotes(events));
    connection.close();
    assert.equal(connection.state, 'closing');
    peer.send('too late');
    await rounds(10);
    assert.equal(connection.state, 'closing');
    peer.end();
    await awaitCondition(() => isOver(connection), 'the close');
    assert.deepEqual(events, ['open', 'close closed']);
  });

  it('is closed at once after abort, and in onClose', async () => {
    const states: string[] = [];
    const { connection } = await open({ onClose: ({ state }) => void states.push(state) });
    connection.abort();
    assert.equal(connection.state, 'closed');
    await awaitCondition(() => states.length > 0, 'onClose');
    assert.deepEqual(states, ['closed']);
  });
});

describe('counts', () => {
  it('of bytes in both directions are right in onClose too', async () => {
    const counts: number[][] = [];
    const note = ({ bytesReceived, bytesSent, queuedBytes }: Connection) =>
      void counts.push([bytesReceived, bytesSent, queuedBytes]);
    const onData = (connection: Connection) => void connection.write('four');
    const { peer, connection } = await open({ onData, onClose: note });
    note(connection);
    peer.send('12345');
    await peer.read(4);
    note(connection);
    peer.end();
    await awaitCondition(() => isOver(connection), 'the close');
    assert.deepEqual(counts, [
      [0, 0, 0],
      [5, 4, 0],
      [5, 4, 0],
    ]);
  });

  it('start at 0 for the next connection of the slot', async () => {
    const { peer, connection } = await open();
    peer.send('12345');
    connection.write('1');
    await awaitCondition(() => connection.bytesReceived === 5, 'the bytes');
    const { slot } = connection;
    connection.abort();
    await awaitCondition(() => isOver(connection), 'the close');
    const next = (await rig.connect()).connection;
    assert.deepEqual([next.slot, next.bytesReceived, next.bytesSent], [slot, 0, 0]);
  });
});

describe('addresses', () => {
  it('are those of the socket, and are known in onClose when asked for before', async () => {
    const known: string[] = [];
    const onClose = (connection: Connection) =>
      void known.push(connection.localAddress, connection.remoteAddress);
    const { peer, connection } = await open({ onClose });
    const name = new Uint8Array(128);
    rawKernel.getSocketName(peer.fd, name);
    const address = `tcp://127.0.0.1:${name[2] * 256 + name[3]}`;
    assert.deepEqual([connection.localAddress, connection.remoteAddress], [rig.url, address]);
    connection.abort();
    await awaitCondition(() => isOver(connection), 'the close');
    assert.deepEqual(known, [rig.url, address]);
    assert.equal(connection.remoteAddress, address);
  });

  it('are empty when nobody asked before the close', async () => {
    const { connection } = await open();
    connection.abort();
    assert.deepEqual([connection.localAddress, connection.remoteAddress], ['', '']);
    await awaitCondition(() => isOver(connection), 'the close');
    assert.equal(connection.remoteAddress, '');
  });

  it('of an unnamed Unix socket have no path', async () => {
    const listen = `unix-abstract://millrace-connection-${process.pid}`;
    const { connection } = await open({}, { listen });
    assert.deepEqual([connection.localAddress, connection.remoteAddress], [listen, 'unix://']);
  });
});

describe('options', () => {
  it('can be set and read, and are checked', async () => {
    const { connection } = await open({}, { noDelay: false });
    assert.equal(connection.getOption('noDelay'), false);
    connection.setOption('noDelay', true);
    connection.setOption('keepAlive', { idleSeconds: 7, intervalSeconds: 8, count: 9 });
    connection.setOption('lingerSeconds', 3);
    assert.equal(connection.getOption('noDelay'), true);
    assert.deepEqual(connection.getOption('keepAlive'), {
      idleSeconds: 7,
      intervalSeconds: 8,
      count: 9,
    });
    assert.equal(connection.getOption('lingerSeconds'), 3);
    assert.throws(() => connection.setOption('noDelay', 1 as unknown as boolean), TypeError);
    assert.throws(() => connection.setOption('userTimeoutMs', -1), RangeError);
    assert.throws(() => connection.setOption('nodelay' as 'noDelay', true), TypeError);
    assert.equal(connection.getOption('nodelay' as 'noDelay'), undefined);
    connection.setOption('lingerSeconds', null);
  });

  it('that the system refuses throw a SystemError', async () => {
    const { connection } = await open();
    assert.throws(
      () => connection.setOption('bindToDevice', 'no-such-device'),
      (error: SystemError) => error instanceof SystemError && error.code === 'ENODEV',
    );
    assert.equal(connection.state, 'open');
  });

  it('do nothing once closed, and where the socket has none', async () => {
    const listen = `unix-abstract://millrace-options-${process.pid}`;
    const { connection } = await open({}, { listen });
    connection.setOption('noDelay', true);
    assert.equal(connection.getOption('noDelay'), undefined);
    assert.ok(connection.getOption('sendBufferBytes')! > 0);
    connection.abort();
    connection.setOption('sendBufferBytes', 100_000);
    assert.equal(connection.getOption('sendBufferBytes'), undefined);
  });
});

describe('timers', () => {
  it('fire with the connection, unless cleared or the connection closes', async () => {
    const fired: unknown[] = [];
    const { connection } = await open();
    connection.setTimer(0, (same) => fired.push(same === connection));
    connection.clearTimer(connection.setTimer(0, () => fired.push('cleared')));
    await awaitCondition(() => fired.length > 0, 'the timer');
    connection.setTimer(1, () => fired.push('closed'));
    connection.abort();
    assert.equal(
      connection.setTimer(0, () => fired.push('late')),
      -1,
    );
    const over = new Promise<void>((resolve) => void rig.reactor.setTimer(5, resolve));
    await over;
    assert.deepEqual(fired, [true]);
  });

  it('that throw cost the connection', async () => {
    const events: string[] = [];
    const { connection } = await open(hookNotes(events));
    connection.setTimer(0, () => {
      throw new Error('as told');
    });
    await awaitCondition(() => isOver(connection), 'the close');
    assert.deepEqual(events, ['open', 'close handler']);
    assert.deepEqual(rig.warnings.map(String), ['Error: as told']);
  });

  it('are checked', async () => {
    const { connection } = await open();
    assert.throws(() => connection.setTimer(-1, () => {}), RangeError);
    assert.throws(() => connection.setTimer(Number.NaN, () => {}), RangeError);
    assert.throws(() => connection.setTimer(1, undefined as unknown as () => void), TypeError);
    for (const wrong of [-1, 0.5, Number.NaN, 2 ** 32, '1' as unknown as number]) {
      assert.throws(() => connection.setReadTimeout(wrong), RangeError);
      assert.throws(() => connection.setWriteTimeout(wrong), RangeError);
      assert.throws(() => connection.setIdleTimeout(wrong), RangeError);
    }
    connection.clearTimer(-1);
    connection.clearTimer(12_345);
  });
});

describe('hooks', () => {
  it('have the handler as this, and share the context of their connection', async () => {
    const seen: unknown[] = [];
    const handler: Handler = {
      onOpen(connection) {
        seen.push(this === handler);
        connection.context = { n: 1 };
      },
      onData(connection) {
        seen.push(this === handler, connection.context, connection.reactor === rig.reactor);
      },
      onClose(connection) {
        seen.push(this === handler, connection.context);
      },
    };
    const { peer, connection } = await open(handler);
    peer.send('x');
    await awaitCondition(() => seen.length === 4, 'the data');
    connection.abort();
    await awaitCondition(() => seen.length === 6, 'the close');
    assert.deepEqual(seen, [true, true, { n: 1 }, true, true, { n: 1 }]);
  });

  it('that return close or shutdown are obeyed, and other values mean nothing', async () => {
    const onData = (_connection: Connection, bytes: Buffer) => bytes.toString() as 'close';
    const { peer, connection } = await open({ onData });
    peer.send('none');
    peer.send('whatever');
    await awaitCondition(() => connection.bytesReceived >= 12, 'the data');
    assert.equal(connection.state, 'open');
    await rounds(3);
    peer.send('shutdown');
    await awaitCondition(() => rig.shutdowns === 1, 'the shutdown');
    peer.send('close');
    await awaitCondition(() => connection.state === 'closing', 'the close');
  });
});
