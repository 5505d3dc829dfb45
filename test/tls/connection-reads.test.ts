/** Reading from a TLS connection: pushed, pulled, iterated, paused. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { dialTls } from '../../src/tls/index.js';
import { awaitCondition, rounds } from '../support/await-condition.js';
import { certificates, closed, numbered, pair } from '../support/tls-pair.js';
import { checkLeaks } from '../support/tls-rig.js';

checkLeaks();

describe('reading', () => {
  it('pause() keeps what was received, resume() reports it, and the end after it', async () => {
    const { peer, entry, connection } = await pair({ onData() {} });
    connection.pause();
    assert.equal(connection.isPaused, true);
    peer.socket.end('to be continued');
    await rounds(50);
    assert.equal(entry.data.length, 0);
    assert.equal(entry.ends, 0);
    connection.resume();
    await closed(entry);
    assert.equal(entry.data.toString(), 'to be continued');
    assert.equal(entry.ends, 1);
  });

  it('pause() within onData, with more of the same batch to come', async () => {
    const chunks: number[] = [];
    const { peer, entry, connection } = await pair({
      onData(subject, bytes) {
        chunks.push(bytes.length);
        subject.pause();
        setImmediate(() => subject.resume());
      },
    });
    const bytes = numbered(3_000_000);
    peer.socket.write(bytes);
    await awaitCondition(() => entry.data.length === bytes.length, 'all of it');
    assert.ok(entry.data.equals(bytes));
    assert.ok(chunks.length > 1);
    assert.equal(connection.isPaused, true);
  });

  it('a pull handler reads by position, across records', async () => {
    const messages: string[] = [];
    const { peer, connection } = await pair({
      onReadable({ reader }) {
        const head = reader.peek(2);
        if (head !== undefined) {
          const length = head.readUInt16BE();
          if (reader.length >= 2 + length) {
            reader.skip(2);
            messages.push(reader.readString(length)!);
          }
        }
      },
    });
    const sent = ['a', 'bc', 'x'.repeat(20_000), ''];
    for (const text of sent) {
      const bytes = Buffer.concat([Buffer.alloc(2), Buffer.from(text)]);
      bytes.writeUInt16BE(text.length);
      for (let at = 0; at < bytes.length; at += 9_000) {
        peer.socket.write(bytes.subarray(at, at + 9_000));
        await rounds(2);
      }
    }
    await awaitCondition(() => messages.length === 4, 'all messages');
    assert.deepEqual(messages, sent);
    assert.equal(connection.reader.length, 0);
  });

  it('a pull handler that never reads what it must is aborted', async () => {
    const { peer, entry } = await pair({ onReadable() {} }, { readQueueMax: 10_000 });
    peer.socket.write(numbered(100_000));
    assert.equal((await closed(entry)).code, 'overflow');
    await peer.closed();
  });

  it('wake() calls back with no bytes, or onReadable', async () => {
    const sizes: number[] = [];
    const { connection } = await pair({ onData: (_, bytes) => void sizes.push(bytes.length) });
    connection.wake();
    connection.wake();
    await awaitCondition(() => sizes.length > 0, 'the wake');
    assert.deepEqual(sizes, [0]);
    let calls = 0;
    const pull = await pair({
      onReadable() {
        calls += 1;
      },
    });
    pull.connection.wake();
    await awaitCondition(() => calls === 1, 'the wake');
  });

  it('for await: chunks up to the end; a slow consumer slows the peer down', async () => {
    const { peer, connection } = await pair({}, { highWaterMark: 10_000, lowWaterMark: 1_000 });
    const bytes = numbered(2_000_000);
    peer.socket.end(bytes);
    const chunks: Buffer[] = [];
    for await (const chunk of connection) {
      chunks.push(chunk);
      await rounds(1);
    }
    assert.ok(Buffer.concat(chunks).equals(bytes));
  });

  it('for await throws when the peer resets or cuts off, and closes when left', async () => {
    const { rig } = await pair();
    const client = await dialTls(rig.url, { ca: certificates.ca.cert });
    await awaitCondition(() => rig.seen.length === 2, 'onOpen');
    const { connection } = rig.seen[1]!;
    const iterator = connection[Symbol.asyncIterator]();
    assert.throws(() => connection[Symbol.asyncIterator](), /twice/);
    const next = iterator.next();
    client.abort();
    await assert.rejects(next);
    assert.deepEqual(await iterator.next(), { done: true, value: undefined });
    const second = await pair();
    second.peer.socket.write('one');
    for await (const chunk of second.connection) {
      assert.equal(chunk.toString(), 'one');
      break;
    }
    await second.peer.closed();
    assert.equal(second.peer.hasEnded, true);
    assert.equal((await closed(second.entry)).code, 'closed');
  });
});
