/** Sending parts of files, from outside: on both drivers, on direct descriptors, and on a transport that reads them. */

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';

import type { CloseReason, Connection, Handler, WriteResult } from '../../src/api.js';
import { LinuxKernel } from '../../src/base/linux-kernel.js';
import { probeUring } from '../../src/connection/drivers/uring-setup.js';
import { type ServeOptions, type Server, serve } from '../../src/index.js';
import { openLinuxFile } from '../contract/linux-file.js';
import { awaitCondition, rounds } from '../support/await-condition.js';
import { RawPeer } from '../support/raw-peer.js';

const features = probeUring(new LinuxKernel());
const hasUring = typeof features !== 'number';
const WAYS: [string, Partial<ServeOptions>][] = [['epoll', { driver: 'epoll' }]];
if (hasUring) {
  WAYS.push(['io_uring', { driver: 'uring' }]);
}
if (hasUring && features.directDescriptors) {
  WAYS.push(['direct descriptors', { direct: true }]);
}

const kernel = new LinuxKernel();
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const each of cleanups.splice(0).reverse()) {
    await each();
  }
});

function numbered(byteLength: number): Buffer {
  const bytes = Buffer.alloc(byteLength);
  for (let i = 0; i < byteLength; i += 1) {
    bytes[i] = (i * 13 + (i >> 8) + (i >> 15)) & 255;
  }
  return bytes;
}

function fileOf(bytes: Buffer) {
  const file = openLinuxFile(bytes);
  cleanups.push(() => kernel.close(file.fd));
  return file;
}

interface Open {
  readonly peer: RawPeer;
  readonly connection: Connection;
  readonly server: Server;
  readonly reasons: CloseReason[];
  drains: number;
}

async function open(options: Partial<ServeOptions>, hooks: Handler = {}): Promise<Open> {
  const reasons: CloseReason[] = [];
  let connection: Connection | undefined;
  const handler: Handler = {
    ...hooks,
    onOpen: (opened) => {
      connection = opened;
    },
    onDrain: () => {
      made.drains += 1;
    },
    onClose: (_, reason) => void reasons.push(reason),
  };
  const server = await serve({ listen: 'tcp://127.0.0.1:0', ...options, handler });
  cleanups.push(() => server.close({ deadlineMs: 0 }));
  const peer = await RawPeer.connect(server.addresses[0]!, { receiveBufferBytes: 8_192 });
  cleanups.push(() => peer.close());
  await awaitCondition(() => connection !== undefined, 'the connection');
  const made: Open = { peer, connection: connection!, server, reasons, drains: 0 };
  return made;
}

for (const [name, options] of WAYS) {
  describe(`sendFile, ${name}`, () => {
    it('sends parts in order with writes, and says when each is done', async () => {
      const { peer, connection } = await open({ ...options, sendBufferBytes: 8_192 });
      const content = numbered(3_000_000);
      const { fd } = fileOf(content);
      const done: string[] = [];
      const note = (what: string) => (isSent: boolean) => void done.push(`${what} ${isSent}`);
      connection.cork();
      connection.write('head ');
      const result = connection.sendFile(fd, 10, 2_500_000, note('long'));
      connection.receipt(note('receipt'));
      connection.sendFile({ fd }, 0, 0, note('nothing'));
      connection.write(' between ');
      connection.sendFile(fd, 2_999_999, 1, note('last'));
      connection.write(' end');
      connection.uncork();
      assert.equal(result, 'queued');
      assert.ok(connection.queuedFileBytes > 1_000_000);
      assert.ok(connection.queuedBytes < 1_000, 'files are not counted as memory');
      assert.deepEqual(done, []);
      const expected = Buffer.concat([
        Buffer.from('head '),
        content.subarray(10, 2_500_010),
        Buffer.from(' between '),
        content.subarray(2_999_999),
        Buffer.from(' end'),
      ]);
      assert.ok((await peer.read(expected.byteLength)).equals(expected));
      await awaitCondition(() => done.length === 4, 'the callbacks');
      assert.deepEqual([...done].sort(), [
        'last true',
        'long true',
        'nothing true',
        'receipt true',
      ]);
      assert.equal(done[0], 'long true');
      assert.equal(connection.queuedFileBytes, 0);
      assert.equal(connection.bytesSent, expected.byteLength);
      assert.equal(await connection.drained(), true);
    });

    it('a connection that closes first answers false, once, and counts what was not sent', async () => {
      const { peer, connection, reasons } = await open({ ...options, sendBufferBytes: 8_192 });
      const { fd } = fileOf(numbered(4_000_000));
      const done: boolean[] = [];
      connection.sendFile(fd, 0, 4_000_000, (isSent) => void done.push(isSent));
      connection.sendFile(fd, 0, 1, (isSent) => void done.push(isSent));
      await rounds(20);
      peer.reset();
      await awaitCondition(() => reasons.length === 1, 'the close');
      await awaitCondition(() => done.length === 2, 'the callbacks');
      assert.deepEqual(done, [false, false]);
      assert.ok(reasons[0]!.unsentBytes > 1_000_000, String(reasons[0]!.unsentBytes));
      assert.equal(
        connection.sendFile(fd, 0, 1, () => void done.push(true)),
        'closed',
      );
      assert.equal(
        connection.sendFile(fd, 0, 0, () => void done.push(true)),
        'closed',
      );
      await rounds(5);
      assert.equal(done.length, 2);
    });

    it('abort while a file waits for room', async () => {
      const { connection, reasons } = await open({ ...options, sendBufferBytes: 8_192 });
      const { fd } = fileOf(numbered(4_000_000));
      const done: boolean[] = [];
      connection.sendFile(fd, 0, 4_000_000, (isSent) => void done.push(isSent));
      await rounds(20);
      connection.abort();
      await awaitCondition(() => done.length === 1 && reasons.length === 1, 'the close');
      assert.deepEqual([done, reasons[0]!.code], [[false], 'aborted']);
    });

    it('a file that became shorter costs the connection, with ENODATA', async () => {
      const { peer, connection, reasons } = await open({ ...options, sendBufferBytes: 8_192 });
      const file = fileOf(numbered(4_000_000));
      const done: boolean[] = [];
      connection.sendFile(file.fd, 0, 4_000_000, (isSent) => void done.push(isSent));
      file.truncate(5);
      await peer.readToEnd();
      await awaitCondition(() => reasons.length === 1, 'the close');
      assert.deepEqual(done, [false]);
      assert.equal(reasons[0]!.code, 'error');
      const { code, syscall } = reasons[0]!.error as NodeJS.ErrnoException;
      assert.deepEqual([code, syscall], ['ENODATA', 'sendfile']);
    });

    it('end() comes after the file', async () => {
      const { peer, connection } = await open({ ...options, sendBufferBytes: 8_192 });
      const content = numbered(2_000_000);
      const { fd } = fileOf(content);
      connection.sendFile(fd, 0, content.byteLength);
      connection.end();
      assert.ok((await peer.readToEnd()).bytes.equals(content));
    });

    it('more than 64 parts are full, and onDrain follows', async () => {
      const made = await open({ ...options, sendBufferBytes: 8_192 });
      const { peer, connection } = made;
      const content = numbered(300_000);
      const { fd } = fileOf(content);
      let taken = 0;
      let results: WriteResult = 'sent';
      for (; results !== 'full'; taken += 1) {
        results = connection.sendFile(fd, 0, content.byteLength);
        assert.ok(taken < 1_000);
      }
      taken -= 1;
      assert.ok(taken >= 64);
      assert.equal(made.drains, 0);
      const got = await peer.read(taken * content.byteLength);
      for (let i = 0; i < taken; i += 1) {
        const part = got.subarray(i * content.byteLength, (i + 1) * content.byteLength);
        assert.ok(part.equals(content));
      }
      await awaitCondition(() => made.drains === 1, 'onDrain');
    });

    it('what a peer does not take for the write timeout ends it', async () => {
      const made = await open({ ...options, sendBufferBytes: 8_192, writeTimeoutMs: 50 });
      const { fd } = fileOf(numbered(4_000_000));
      const done: boolean[] = [];
      made.connection.sendFile(fd, 0, 4_000_000, (isSent) => void done.push(isSent));
      await awaitCondition(() => made.reasons.length === 1, 'the close');
      assert.deepEqual([made.reasons[0]!.timeout, done], ['write', [false]]);
    });
  });
}

describe('sendFile', () => {
  it('a long file to a fast peer leaves turns to the others', async () => {
    const { connection, server } = await open({ driver: 'epoll' });
    const { fd } = fileOf(numbered(64_000_000));
    const reader = await RawPeer.connect(server.addresses[0]!);
    cleanups.push(() => reader.close());
    const turns = () => server.stats.totals.turns;
    const before = turns();
    assert.notEqual(connection.sendFile(fd, 0, 64_000_000), 'sent');
    assert.equal(turns(), before, 'one send, and the rest is left to the turns that follow');
    assert.ok(connection.queuedFileBytes >= 63_000_000 - 1_048_576);
  });

  it('refuses what is no part of a file', async () => {
    const { connection } = await open({ driver: 'epoll' });
    const wrong: [unknown, unknown, unknown, unknown][] = [
      [-1, 0, 1, undefined],
      [{ fd: -1 }, 0, 1, undefined],
      ['3', 0, 1, undefined],
      [undefined, 0, 1, undefined],
      [null, 0, 1, undefined],
      [3, -1, 1, undefined],
      [3, 0.5, 1, undefined],
      [3, 0, -1, undefined],
      [3, 0, Number.NaN, undefined],
      [3, Number.MAX_SAFE_INTEGER, 1, undefined],
      [3, 0, 1, 'done'],
    ];
    for (const [file, offset, byteLength, onDone] of wrong) {
      assert.throws(
        () =>
          connection.sendFile(
            file as number,
            offset as number,
            byteLength as number,
            onDone as () => void,
          ),
        /Cannot sendFile/,
      );
    }
    assert.equal(connection.queuedFileBytes, 0);
  });
});
