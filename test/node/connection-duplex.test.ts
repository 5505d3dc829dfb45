/** A connection as a stream that looks like a net.Socket: back-pressure, ends, errors, and what sockets have. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import { afterEach, describe, it } from 'node:test';

import type { Connection } from '../../src/api.js';
import { SHUT_WR } from '../../src/base/linux.js';
import { type ConnectionDuplex, type DuplexOptions, toDuplex } from '../../src/node/index.js';
import { awaitCondition, rounds, settled } from '../support/await-condition.js';
import { type RawPeer, rawKernel } from '../support/raw-peer.js';
import { LinuxRig, type RigOptions } from '../support/reactor-rig.js';
import { textOf } from './support.js';

let rig: LinuxRig;

afterEach(async () => {
  assert.equal(await rig.close(), 0, 'blocks were kept');
  assert.deepEqual(rig.warnings, []);
});

async function open(
  options: DuplexOptions = {},
  rigOptions: RigOptions = {},
): Promise<{ peer: RawPeer; connection: Connection; duplex: ConnectionDuplex }> {
  rig = LinuxRig.open({}, { lingerTimeoutMs: 60_000, ...rigOptions });
  const { peer, connection } = await rig.connect();
  return { peer, connection, duplex: toDuplex(connection, options) };
}

const MUCH = Buffer.alloc(8_388_608, 'much ');

describe('reading', () => {
  it('gives all bytes in order and ends with the peer’s FIN, and ours follows', async () => {
    const { peer, duplex } = await open();
    await peer.sendAll('one, ');
    await peer.sendAll('two');
    peer.end();
    assert.equal(await settled(textOf(duplex), 'the end'), 'one, two');
    assert.deepEqual(await peer.readToEnd(), { bytes: Buffer.alloc(0), end: 'end' });
    assert.equal(duplex.bytesRead, 8);
  });

  it('stops the peer while nobody reads, and loses nothing', async () => {
    const { peer, connection, duplex } = await open({ readableHighWaterMark: 10_000 });
    let sent = 0;
    // Until the kernel takes no more for a while: then we do not receive.
    for (let quiet = 0; quiet < 50; ) {
      const n = peer.send(MUCH.subarray(0, 65_536));
      sent += n;
      quiet = n === 0 ? quiet + 1 : 0;
      await rounds(1);
    }
    assert.equal(connection.isPaused, true);
    // What the driver had received ahead may have come on top of the high-water mark.
    assert.ok(duplex.readableLength < 1_048_576, `${duplex.readableLength} bytes are held`);
    let received = 0;
    duplex.on('data', (bytes: Buffer) => {
      received += bytes.byteLength;
    });
    await awaitCondition(() => received === sent, 'the rest');
    assert.equal(connection.isPaused, false);
    duplex.destroy();
  });

  it('goes on with pipeline and for await', async () => {
    const { peer, duplex } = await open();
    const echo = pipeline(duplex, duplex);
    const all = peer.readToEnd();
    await peer.sendAll(MUCH);
    peer.end();
    await settled(echo, 'the echo');
    assert.ok((await all).bytes.equals(MUCH));
  });

  it('takes what the connection had not told yet', async () => {
    rig = LinuxRig.open({ onReadable: () => {} });
    const { peer, connection } = await rig.connect();
    await peer.sendAll('kept');
    await awaitCondition(() => connection.reader.length === 4, 'the bytes');
    const duplex = toDuplex(connection);
    peer.end();
    assert.equal(await settled(textOf(duplex), 'the end'), 'kept');
  });
});

describe('writing', () => {
  it('answers false at the high-water mark, waits for the peer, and goes on after it', async () => {
    const { peer, connection, duplex } = await open({ writableHighWaterMark: 20_000 });
    const piece = MUCH.subarray(0, 10_000);
    let written = 0;
    let queuedMost = 0;
    for (let refused = 0; refused < 50; ) {
      if (duplex.writableNeedDrain) {
        refused += 1;
        await rounds(1);
      } else {
        duplex.write(piece);
        written += piece.byteLength;
        refused = 0;
      }
      queuedMost = Math.max(queuedMost, connection.queuedBytes);
    }
    assert.ok(queuedMost <= 20_000 + 65_536, `${queuedMost} bytes were queued`);
    assert.ok(duplex.writableLength <= 30_000, `${duplex.writableLength} bytes wait`);
    assert.equal(duplex.bytesWritten, written);
    const drained = once(duplex, 'drain');
    await peer.read(written);
    await settled(drained, 'the drain');
    duplex.destroy();
  });

  it('sends a chunk far above all limits without queueing it', async () => {
    const { peer, connection, duplex } = await open({}, { writeQueueMax: 100_000 });
    let queuedMost = 0;
    duplex.end(MUCH);
    const sampling = setInterval(() => {
      queuedMost = Math.max(queuedMost, connection.queuedBytes);
    }, 0);
    const { bytes } = await peer.readToEnd();
    clearInterval(sampling);
    assert.ok(bytes.equals(MUCH));
    assert.ok(queuedMost <= 65_536 * 2, `${queuedMost} bytes were queued`);
    assert.equal(duplex.bytesWritten, MUCH.byteLength);
  });

  it('gathers what is corked', async () => {
    const { peer, duplex } = await open();
    duplex.cork();
    for (const text of ['a', 'b', 'ç']) {
      duplex.write(text);
    }
    duplex.uncork();
    assert.equal(String(await peer.read(4)), 'abç');
    duplex.destroy();
  });

  it('finishes when the kernel has everything, and half-close leaves reading open', async () => {
    const { peer, duplex } = await open({ allowHalfOpen: true });
    duplex.end('request');
    await settled(once(duplex, 'finish'), 'the finish');
    assert.deepEqual(await peer.readToEnd(), { bytes: Buffer.from('request'), end: 'end' });
    assert.equal(duplex.readyState, 'readOnly');
    await peer.sendAll('answer');
    rawKernel.shutdown(peer.fd, SHUT_WR);
    assert.equal(await settled(textOf(duplex), 'the end'), 'answer');
    await awaitCondition(() => duplex.destroyed, 'the end of the stream');
  });

  it('goes on after the peer’s FIN with allowHalfOpen, whatever the server’s option', async () => {
    const { peer, duplex } = await open({ allowHalfOpen: true }, { allowHalfOpen: false });
    peer.end();
    await settled(once(duplex.resume(), 'end'), 'the end');
    await rounds(20);
    duplex.write('still ');
    await rounds(20);
    duplex.end('here');
    assert.deepEqual(await peer.readToEnd(), { bytes: Buffer.from('still here'), end: 'end' });
  });
});

describe('the end', () => {
  it('is an error with the system’s code when the peer resets', async () => {
    const { peer, duplex } = await open();
    const failure = once(duplex, 'error') as Promise<[NodeJS.ErrnoException]>;
    const closed = new Promise((resolve) => duplex.on('close', resolve));
    peer.reset();
    const [error] = await settled(failure, 'the error');
    assert.equal(error.code, 'ECONNRESET');
    assert.equal(await closed, true, 'close tells that there was an error');
  });

  it('by destroy sends what was taken and FIN, and tells close without an error', async () => {
    const { peer, duplex } = await open();
    duplex.write('last words');
    duplex.destroy();
    const [hadError] = await settled(once(duplex, 'close'), 'the close');
    assert.equal(hadError, false);
    assert.deepEqual(await peer.readToEnd(), { bytes: Buffer.from('last words'), end: 'end' });
    await peer.sendAll('nobody hears this');
    peer.end();
    await awaitCondition(() => rig.reactor.connectionCount === 0, 'the close');
  });

  it('by resetAndDestroy, or destroy with abortOnDestroy, is a reset', async () => {
    const { peer, duplex } = await open();
    duplex.resetAndDestroy();
    assert.equal((await peer.readToEnd()).end, 'ECONNRESET');
    await rig.close();
    const second = await open({ abortOnDestroy: true });
    second.duplex.on('error', () => {});
    second.duplex.write('part of ');
    await second.peer.read(8);
    second.duplex.destroy(new Error('the source broke'));
    assert.equal((await second.peer.readToEnd()).end, 'ECONNRESET');
  });

  it('is ETIMEDOUT when a deadline of the connection passes', async () => {
    const { duplex } = await open({}, { idleTimeoutMs: 20 });
    const [error] = (await settled(once(duplex, 'error'), 'the error')) as [NodeJS.ErrnoException];
    assert.equal(error.code, 'ETIMEDOUT');
  });

  it('comes when the connection is closed by somebody else; writes fail with EPIPE', async () => {
    const { connection, duplex, peer } = await open();
    connection.close();
    const failure = new Promise<NodeJS.ErrnoException>((resolve) => duplex.on('error', resolve));
    duplex.write('too late');
    assert.equal((await settled(failure, 'the error')).code, 'EPIPE');
    peer.end();
    await rig.close();
    const second = await open();
    second.connection.abort();
    await settled(once(second.duplex, 'close'), 'the close');
    assert.equal(second.duplex.errored, null);
    const late = toDuplex(second.connection);
    await settled(once(late, 'close'), 'the close of a closed one');
  });

  it('waits for what is not read yet', async () => {
    const { peer, duplex } = await open();
    duplex.end();
    await peer.sendAll('read me later');
    peer.end();
    await awaitCondition(() => rig.reactor.connectionCount === 0, 'the close');
    await rounds(10);
    assert.equal(await settled(textOf(duplex), 'the end'), 'read me later');
  });
});

describe('as a net.Socket', () => {
  it('has addresses, options, states', async () => {
    const { peer, duplex, connection } = await open();
    const { port } = new URL(rig.url.replace('tcp:', 'http:'));
    assert.deepEqual(duplex.address(), {
      address: '127.0.0.1',
      family: 'IPv4',
      port: Number(port),
    });
    assert.equal(duplex.remoteAddress, '127.0.0.1');
    assert.equal(duplex.remoteFamily, 'IPv4');
    assert.equal(typeof duplex.remotePort, 'number');
    assert.equal(duplex.setNoDelay(false), duplex);
    assert.equal(connection.getOption('noDelay'), false);
    duplex.setKeepAlive(true, 9_000);
    assert.deepEqual(connection.getOption('keepAlive'), {
      idleSeconds: 9,
      intervalSeconds: 1,
      count: 10,
    });
    assert.equal(duplex.encrypted, false);
    assert.equal(duplex.readyState, 'open');
    assert.equal(duplex.connection, connection);
    assert.throws(() => toDuplex(connection), /twice/);
    assert.throws(() => toDuplex(null as unknown as Connection), TypeError);
    duplex.destroySoon();
    await settled(once(duplex, 'close'), 'the close');
    assert.equal((await peer.readToEnd()).end, 'end');
    assert.equal(duplex.readyState, 'closed');
  });

  it('tells of silence, once for each, and does not close', async () => {
    const { peer, duplex } = await open();
    let timeouts = 0;
    duplex.setTimeout(15, () => {
      timeouts += 1;
    });
    assert.equal(duplex.timeout, 15);
    await awaitCondition(() => timeouts === 1, 'the timeout');
    duplex.on('timeout', () => {
      timeouts += 1;
    });
    duplex.resume();
    await peer.sendAll('something');
    await awaitCondition(() => timeouts === 2, 'the next timeout');
    duplex.setTimeout(0);
    duplex.write('and I can still write');
    await peer.read(21);
    await rounds(10);
    assert.equal(timeouts, 2);
    assert.throws(() => duplex.setTimeout(-1), RangeError);
    duplex.destroy();
  });

  it('gives what a listener throws to the process, and the reactor goes on', async () => {
    const { peer, duplex } = await open();
    const thrown = new Error('thrown by a listener');
    const uncaught = new Promise((resolve) => {
      process.setUncaughtExceptionCaptureCallback(resolve);
    });
    duplex.on('data', () => {
      throw thrown;
    });
    await peer.sendAll('x');
    assert.equal(await settled(uncaught, 'the exception'), thrown);
    process.setUncaughtExceptionCaptureCallback(null);
    duplex.write('unharmed');
    assert.equal(String(await peer.read(8)), 'unharmed');
    duplex.destroy();
  });
});
