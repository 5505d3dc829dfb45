/** Sending parts of files over TLS: the same promises as for a plain connection, but that writes wait. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { LinuxKernel } from '../../src/base/linux-kernel.js';
import { openLinuxFile } from '../contract/linux-file.js';
import { awaitCondition, rounds, settled } from '../support/await-condition.js';
import { closed, numbered, pair } from '../support/tls-pair.js';
import { checkLeaks, cleanUp } from '../support/tls-rig.js';

checkLeaks();

const kernel = new LinuxKernel();

function fileOf(bytes: Buffer) {
  const file = openLinuxFile(bytes);
  cleanUp(() => kernel.close(file.fd));
  return file;
}

describe('sendFile over TLS', () => {
  it('sends parts in order with what was written before, and tells when others may follow', async () => {
    const { peer, connection, entry } = await pair({}, { sendBufferBytes: 8_192 });
    const content = numbered(3_000_000);
    const { fd } = fileOf(content);
    peer.socket.pause();
    const done: string[] = [];
    const note = (what: string) => (isSent: boolean) => void done.push(`${what} ${isSent}`);
    connection.write('head ');
    assert.equal(connection.sendFile(fd, 10, 2_500_000, note('long')), 'queued');
    assert.equal(connection.sendFile({ fd }, 2_999_990, 10, note('last')), 'queued');
    connection.receipt(note('receipt'));
    assert.ok(connection.queuedFileBytes > 1_000_000);
    assert.ok(connection.queuedBytes < 200_000, `${connection.queuedBytes} in memory`);
    assert.equal(connection.write('too early'), 'full');
    const drained = connection.drained();
    peer.socket.resume();
    const expected = Buffer.concat([
      Buffer.from('head '),
      content.subarray(10, 2_500_010),
      content.subarray(2_999_990),
    ]);
    assert.ok((await peer.read(expected.byteLength)).equals(expected));
    assert.equal(await settled(drained, 'drained()'), true);
    await awaitCondition(() => done.length === 3 && entry.drains > 0, 'the callbacks');
    assert.deepEqual(done, ['long true', 'last true', 'receipt true']);
    assert.equal(connection.queuedFileBytes, 0);
    assert.equal(connection.bytesSent, expected.byteLength);
    connection.write('now');
    assert.equal((await peer.read(3)).toString(), 'now');
  });

  it('inside a hook, between writes of the hook and those of onDrain', async () => {
    const content = numbered(500_000);
    const { fd } = fileOf(content);
    const { peer } = await pair({
      onData(connection) {
        connection.write('head ');
        connection.sendFile(fd, 0, content.byteLength);
        if (connection.write(' end') === 'full') {
          connection.context = 'owed';
        }
      },
      onDrain(connection) {
        if (connection.context === 'owed') {
          connection.context = undefined;
          connection.write(' end');
        }
      },
    });
    peer.socket.write('go');
    const got = await peer.read(content.byteLength + 9);
    const expected = Buffer.concat([Buffer.from('head '), content, Buffer.from(' end')]);
    assert.ok(got.equals(expected));
  });

  for (const way of ['end', 'close'] as const) {
    it(`${way}() comes after the file, with close_notify`, async () => {
      const { peer, connection, entry } = await pair({}, { sendBufferBytes: 8_192 });
      const content = numbered(2_000_000);
      const { fd } = fileOf(content);
      connection.sendFile(fd, 0, content.byteLength);
      connection[way]();
      assert.equal(connection.write('x'), 'closed');
      assert.ok((await peer.read(content.byteLength)).equals(content));
      await awaitCondition(() => peer.hasEnded, 'close_notify');
      peer.socket.end();
      const { code, unsentBytes } = await closed(entry);
      assert.deepEqual([code, unsentBytes], [way === 'end' ? 'ended' : 'closed', 0]);
    });
  }

  it('where the transport takes little, with a small queue', async () => {
    const options = { sendBufferBytes: 4_096, writeQueueMax: 20_000, highWaterMark: 10_000 };
    const { peer, connection } = await pair({}, { ...options, lowWaterMark: 5_000 });
    const content = numbered(1_000_000);
    const { fd } = fileOf(content);
    const done: boolean[] = [];
    connection.sendFile(fd, 0, content.byteLength, (isSent) => void done.push(isSent));
    assert.ok((await peer.read(content.byteLength)).equals(content));
    await awaitCondition(() => done.length === 1, 'the callback');
    assert.deepEqual(done, [true]);
    peer.socket.write('reading goes on');
    await awaitCondition(() => connection.bytesReceived === 15, 'what the peer sent');
  });

  it('a connection that closes first answers false, and counts what was not sent', async () => {
    const { peer, connection, entry } = await pair({}, { sendBufferBytes: 8_192 });
    peer.socket.pause();
    const { fd } = fileOf(numbered(4_000_000));
    const done: boolean[] = [];
    connection.sendFile(fd, 0, 4_000_000, (isSent) => void done.push(isSent));
    connection.sendFile(fd, 0, 1, (isSent) => void done.push(isSent));
    await rounds(20);
    connection.abort();
    const { code, unsentBytes } = await closed(entry);
    assert.equal(code, 'aborted');
    assert.ok(unsentBytes > 1_000_000, String(unsentBytes));
    assert.deepEqual(done, [false, false]);
    assert.equal(connection.sendFile(fd, 0, 1), 'closed');
  });

  it('a file that became shorter costs the connection', async () => {
    const { peer, connection, entry } = await pair({}, { sendBufferBytes: 8_192 });
    const file = fileOf(numbered(4_000_000));
    const done: boolean[] = [];
    connection.sendFile(file.fd, 0, 4_000_000, (isSent) => void done.push(isSent));
    file.truncate(5);
    const { code, error } = await closed(entry);
    assert.equal(code, 'error');
    assert.equal((error as NodeJS.ErrnoException).code, 'ENODATA');
    assert.deepEqual(done, [false]);
    await peer.closed();
    assert.ok(peer.receivedBytes < 4_000_000);
  });

  it('more than 64 parts are full', async () => {
    const { peer, connection } = await pair({}, { sendBufferBytes: 8_192 });
    peer.socket.pause();
    const { fd } = fileOf(numbered(300_000));
    let taken = 0;
    while (connection.sendFile(fd, 0, 300_000) !== 'full') {
      taken += 1;
      assert.ok(taken < 1_000);
    }
    assert.ok(taken >= 64);
  });
});
