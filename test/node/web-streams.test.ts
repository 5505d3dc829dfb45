/** A connection as the web's streams. */

import assert from 'node:assert/strict';
import { afterEach, it } from 'node:test';

import { toWebStreams, type WebStreamsOptions } from '../../src/node/index.js';
import { awaitCondition, rounds, settled } from '../support/await-condition.js';
import { LinuxRig, type RigOptions } from '../support/reactor-rig.js';

let rig: LinuxRig;

afterEach(async () => {
  assert.equal(await rig.close(), 0, 'blocks were kept');
});

async function open(options: WebStreamsOptions = {}, rigOptions: RigOptions = {}) {
  rig = LinuxRig.open({}, { lingerTimeoutMs: 60_000, ...rigOptions });
  const { peer, connection } = await rig.connect();
  return { peer, connection, streams: toWebStreams(connection, options) };
}

const MUCH = Buffer.alloc(4_194_304, 'much ');

it('pipes bytes through and keeps half-open states', async () => {
  const { peer, streams } = await open();
  const piped = streams.readable.pipeTo(streams.writable);
  const all = peer.readToEnd();
  await peer.sendAll(MUCH);
  peer.end();
  await settled(piped, 'the pipe');
  assert.ok((await all).bytes.equals(MUCH));
  assert.equal((await settled(streams.closed, 'the close')).code, 'ended');
});

it('lets readers bring their own buffers, and answers them at the end', async () => {
  const { peer, streams } = await open();
  const reader = streams.readable.getReader({ mode: 'byob' });
  const first = reader.read(new Uint8Array(3));
  await peer.sendAll('abcdef');
  assert.equal(Buffer.from((await first).value!).toString(), 'abc');
  assert.equal(Buffer.from((await reader.read(new Uint8Array(9))).value!).toString(), 'def');
  const last = reader.read(new Uint8Array(9));
  peer.end();
  assert.equal((await settled(last, 'the end')).done, true);
  await streams.writable.close();
});

it('stops the peer while nobody reads', async () => {
  const { peer, connection, streams } = await open({ readableHighWaterMark: 10_000 });
  let sent = 0;
  for (let quiet = 0; quiet < 50; ) {
    const n = peer.send(MUCH.subarray(0, 65_536));
    sent += n;
    quiet = n === 0 ? quiet + 1 : 0;
    await rounds(1);
  }
  assert.equal(connection.isPaused, true);
  let received = 0;
  for await (const chunk of streams.readable) {
    received += chunk.byteLength;
    if (received === sent) {
      break;
    }
  }
  connection.abort();
  assert.equal((await settled(streams.closed, 'the close')).code, 'aborted');
});

it('lets writes wait for the peer, and close for all of them', async () => {
  const { peer, connection, streams } = await open({ writableHighWaterMark: 20_000 });
  const writer = streams.writable.getWriter();
  let taken = 0;
  for (let i = 0; i < 200; i += 1) {
    void writer.write(Buffer.from(MUCH.subarray(0, 65_536))).then(() => {
      taken += 65_536;
    });
  }
  let before = -1;
  await awaitCondition(async () => {
    const isQuiet = taken === before;
    before = taken;
    await rounds(20);
    return isQuiet;
  }, 'the writes to wait');
  assert.ok(taken < 200 * 65_536);
  assert.ok(connection.queuedBytes <= 20_000 + 65_536);
  const closing = writer.close();
  assert.equal((await peer.readToEnd()).bytes.byteLength, 200 * 65_536);
  await settled(closing, 'the close');
  await writer.closed;
});

it('errors both when the peer resets', async () => {
  const { peer, streams } = await open();
  const reading = streams.readable.getReader().read();
  peer.reset();
  await assert.rejects(settled(reading, 'the error'), { code: 'ECONNRESET' });
  await assert.rejects(streams.writable.getWriter().write(new Uint8Array(1)), {
    code: 'ECONNRESET',
  });
  assert.equal((await streams.closed).code, 'reset');
});

it('resets on abort, drops after cancel, refuses what are no bytes', async () => {
  const { peer, streams } = await open();
  await streams.readable.cancel();
  await peer.sendAll(MUCH);
  const writer = streams.writable.getWriter();
  await writer.write(Buffer.from('still writing'));
  assert.equal(String(await peer.read(13)), 'still writing');
  await writer.abort(new Error('no more'));
  assert.equal((await peer.readToEnd()).end, 'ECONNRESET');
  assert.equal((await settled(streams.closed, 'the close')).code, 'aborted');
  await rig.close();
  const second = await open();
  await assert.rejects(second.streams.writable.getWriter().write('text' as never), TypeError);
  assert.throws(() => toWebStreams(null as never), TypeError);
  second.connection.abort();
});
