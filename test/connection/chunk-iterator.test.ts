/** `for await` over a connection. */

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';

import type { Connection, Handler } from '../../src/api.js';
import type { SystemError } from '../../src/errors.js';
import { awaitCondition, rounds, settled } from '../support/await-condition.js';
import { hookNotes, LinuxRig, type RigOptions } from '../support/reactor-rig.js';

let rig: LinuxRig;

afterEach(async () => {
  assert.equal(await rig.close(), 0, 'blocks were kept');
});

async function open(handler: Handler = {}, options: RigOptions = {}) {
  rig = LinuxRig.open(handler, options);
  return rig.connect();
}

async function readAll(connection: Connection): Promise<string> {
  let text = '';
  for await (const chunk of connection) {
    text += chunk.toString('latin1');
  }
  return text;
}

describe('iteration', () => {
  it('gives all bytes in order, as copies, and ends with the peer’s FIN', async () => {
    const events: string[] = [];
    const { peer, connection } = await open(hookNotes(events));
    const chunks: Buffer[] = [];
    const reading = (async () => {
      for await (const chunk of connection) {
        chunks.push(chunk);
      }
    })();
    for (const text of ['one', 'two', 'three']) {
      peer.send(text);
      await awaitCondition(() => Buffer.concat(chunks).toString().endsWith(text), text);
    }
    peer.end();
    await settled(reading, 'the end');
    assert.equal(Buffer.concat(chunks).toString(), 'onetwothree');
    await awaitCondition(() => events.length === 3, 'the hooks');
    assert.deepEqual(events, ['open', 'end', 'close ended']);
  });

  it('leaves a pause of the user’s as it is', async () => {
    const { peer, connection } = await open();
    const iterator = connection[Symbol.asyncIterator]();
    peer.send('before');
    await awaitCondition(() => connection.bytesReceived === 6, 'the bytes');
    connection.pause();
    assert.equal((await iterator.next()).value?.toString(), 'before');
    assert.equal(connection.isPaused, true);
    connection.resume();
    peer.send('after');
    assert.equal((await iterator.next()).value?.toString(), 'after');
    await iterator.return?.();
    peer.close();
  });

  it('slows the peer down, and loses nothing', async () => {
    const marks = { highWaterMark: 20_000, lowWaterMark: 5_000, receiveBufferBytes: 8_192 };
    const { peer, connection } = await open({}, { ...marks, receiveBytes: 4_096 });
    const iterator = connection[Symbol.asyncIterator]();
    const sent = peer.sendAll(Buffer.alloc(3_000_000, 'abcdefg')).then(() => peer.end());
    await awaitCondition(() => connection.isPaused, 'the pause');
    await rounds(50);
    // What a batch may bring beyond the mark: the budget of one turn.
    assert.ok(
      connection.bytesReceived < 20_000 + 262_144 + 4_096,
      String(connection.bytesReceived),
    );
    let text = '';
    for await (const chunk of iterator) {
      text += chunk.toString('latin1');
      if (text.length % 5 === 0) {
        await rounds(1);
      }
    }
    await sent;
    assert.ok(text === Buffer.alloc(3_000_000, 'abcdefg').toString('latin1'));
    assert.equal(connection.isPaused, false);
  });

  it('begins with what a reader has kept', async () => {
    const { peer, connection } = await open({ onReadable: () => {} });
    peer.send('kept');
    await awaitCondition(() => connection.reader.length === 4, 'the bytes');
    const reading = readAll(connection);
    peer.send(' and new');
    peer.end();
    assert.equal(await settled(reading, 'the end'), 'kept and new');
  });

  it('throws when the connection is reset, once, after the bytes before it', async () => {
    const { peer, connection } = await open();
    const iterator = connection[Symbol.asyncIterator]();
    peer.send('bytes');
    assert.equal((await iterator.next()).value?.toString(), 'bytes');
    const waiting = iterator.next();
    peer.reset();
    await assert.rejects(waiting, (error: SystemError) => error.code === 'ECONNRESET');
    assert.deepEqual(await iterator.next(), { done: true, value: undefined });
  });

  it('throws when a deadline passes: what came is not all that was to come', async () => {
    const { peer, connection } = await open({}, { readTimeoutMs: 20 });
    peer.send('part of');
    await assert.rejects(settled(readAll(connection), 'the error'), { code: 'ETIMEDOUT' });
  });

  it('ends when we close or abort, and at once on a connection that is closed', async () => {
    for (const call of ['close', 'abort'] as const) {
      const { peer, connection } = await open();
      const reading = readAll(connection);
      await rounds(3);
      connection[call]();
      peer.end();
      assert.equal(await settled(reading, 'the end'), '');
      assert.equal(await settled(readAll(connection), 'the end'), '');
      await awaitCondition(() => connection.slot < 0, 'the close');
      assert.equal(await settled(readAll(connection), 'the end'), '');
      await rig.close();
    }
    await open();
  });

  it('ends at once when the peer has ended before', async () => {
    const { peer, connection } = await open({}, { allowHalfOpen: true });
    peer.end();
    await awaitCondition(() => connection.state === 'half-closed-remote', 'the end');
    assert.equal(await settled(readAll(connection), 'the end'), '');
  });

  it('that is left early closes the connection and drops the rest', async () => {
    const { peer, connection } = await open();
    peer.send('first');
    for await (const chunk of connection) {
      assert.equal(chunk.toString(), 'first');
      break;
    }
    assert.equal(connection.state, 'closing');
    assert.equal((await settled(peer.readToEnd(), 'the FIN')).end, 'end');
  });

  it('answers calls of next in their order, several at a time', async () => {
    const { peer, connection } = await open();
    const iterator = connection[Symbol.asyncIterator]();
    const waiting = [iterator.next(), iterator.next(), iterator.next()];
    for (const text of ['a', 'b']) {
      peer.send(text);
      await awaitCondition(() => connection.bytesReceived === (text === 'a' ? 1 : 2), text);
    }
    peer.end();
    const results = await settled(Promise.all(waiting), 'the results');
    assert.deepEqual(
      results.map(({ value }) => value?.toString()),
      ['a', 'b', undefined],
    );
  });

  it('is possible once', async () => {
    const { connection } = await open();
    connection[Symbol.asyncIterator]();
    assert.throws(() => connection[Symbol.asyncIterator](), TypeError);
  });
});
