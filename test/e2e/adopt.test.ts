/** Descriptors that somebody else opened become connections, or stay what they were. */

import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';

import type { AdoptOptions, Connection } from '../../src/api.js';
import { AF_INET, AF_UNIX, SHUT_WR, SOCK_DGRAM, SOCK_STREAM } from '../../src/base/linux.js';
import type { SystemError } from '../../src/errors.js';
import { awaitCondition, settled } from '../support/await-condition.js';
import { descriptorCounts, openDescriptors } from '../support/open-descriptors.js';
import { RawListener, RawPeer, rawKernel } from '../support/raw-peer.js';
import { hookNotes, LinuxRig } from '../support/reactor-rig.js';

let rig: LinuxRig;
let before: Record<string, number>;
let listener: RawListener;

beforeEach(() => {
  before = descriptorCounts();
  listener = RawListener.listen('tcp://127.0.0.1:0');
  rig = LinuxRig.open({});
});

afterEach(async () => {
  listener.close();
  assert.equal(await rig.close(), 0, 'blocks were kept');
  assert.deepEqual(descriptorCounts(), before, 'descriptors were left');
});

interface Pair {
  readonly fd: number;
  readonly peer: RawPeer;
}

/** A connected descriptor that no reactor knows, and the other side of it. */
async function pair(from: RawListener = listener): Promise<Pair> {
  const peer = await RawPeer.connect(from.url);
  let fd = -1;
  await awaitCondition(() => {
    fd = from.accept();
    return fd >= 0;
  }, 'a connection to accept');
  return { fd, peer };
}

async function refused(source: number, options?: AdoptOptions): Promise<Error> {
  return settled(
    rig.reactor.adopt(source, options).then(
      () => assert.fail('it was adopted'),
      (error: Error) => error,
    ),
    'the refusal',
  );
}

async function read(connection: Connection): Promise<string> {
  let text = '';
  for await (const chunk of connection) {
    text += chunk.toString('latin1');
  }
  return text;
}

describe('adopting a descriptor', () => {
  it('gives a connection with all that connections have, and takes the number', async () => {
    const { fd, peer } = await pair();
    const socket = openDescriptors().get(fd);
    const events: string[] = [];
    const handler = {
      ...hookNotes(events),
      onData: (connection: Connection, bytes: Buffer) => void connection.write(bytes),
    };
    const connection = await rig.reactor.adopt(fd, { handler, context: 'mine' });
    assert.notEqual(openDescriptors().get(fd), socket, 'the number is still in use');
    assert.equal(connection.context, 'mine');
    assert.equal(connection.state, 'open');
    assert.equal(connection.localAddress, listener.url);
    assert.equal(rig.reactor.find(connection.id), connection);
    await peer.sendAll('to and fro');
    assert.equal(String(await peer.read(10)), 'to and fro');
    peer.end();
    assert.equal((await peer.readToEnd()).end, 'end');
    await awaitCondition(() => events.at(-1) === 'close ended', 'the close');
    assert.equal(connection.bytesReceived, 0, 'a closed connection has counted nothing');
    peer.close();
  });

  it('delivers the bytes of `head` before those that the kernel has, and FIN after all', async () => {
    const { fd, peer } = await pair();
    await peer.sendAll('then these');
    peer.end();
    const seen: string[] = [];
    const connection = await rig.reactor.adopt(fd, {
      head: Buffer.from('first, '),
      handler: {
        onData: (_, bytes) => void seen.push(bytes.toString()),
        onEnd: () => void seen.push('FIN'),
      },
    });
    assert.equal(connection.bytesReceived, 7);
    await awaitCondition(() => seen.at(-1) === 'FIN', 'the FIN');
    assert.equal(seen.join(''), 'first, then theseFIN');
    peer.close();
  });

  it('gives `head` to a loop, and to a handler that pulls', async () => {
    const loop = await pair();
    const connection = await rig.reactor.adopt(loop.fd, { head: Buffer.from('for a ') });
    const text = read(connection);
    await loop.peer.sendAll('loop');
    loop.peer.end();
    assert.equal(await settled(text, 'the loop'), 'for a loop');
    loop.peer.close();

    const pull = await pair();
    const lines: string[] = [];
    await rig.reactor.adopt(pull.fd, {
      head: Buffer.from('half a '),
      handler: {
        onReadable: ({ reader }) => {
          const line = reader.until('\n');
          if (line !== undefined) {
            lines.push(line.toString());
          }
        },
      },
    });
    await pull.peer.sendAll('line\n');
    await awaitCondition(() => lines.length === 1, 'the line');
    assert.equal(lines[0], 'half a line\n');
    pull.peer.close();
  });

  it('holds the peer back while a `head` beyond the limit is not read', async () => {
    const { fd, peer } = await pair();
    const seen: number[] = [];
    const connection = await rig.reactor.adopt(fd, {
      head: Buffer.alloc(300_000, 'h'),
      readQueueMax: 100_000,
      handler: {
        onOpen: (opened) => opened.pause(),
        onData: (_, bytes) => void seen.push(bytes.byteLength),
      },
    });
    await peer.sendAll('more');
    connection.resume();
    await awaitCondition(() => seen.reduce((sum, n) => sum + n, 0) === 300_004, 'all bytes');
    connection.abort();
    peer.close();
  });

  it('keeps what was ended ended: the peer’s direction, or ours', async () => {
    const theirs = await pair();
    theirs.peer.end();
    const first = await rig.reactor.adopt(theirs.fd, { allowHalfOpen: true });
    await awaitCondition(() => first.state === 'half-closed-remote', 'the FIN');
    first.write('still');
    first.end();
    assert.deepEqual(await theirs.peer.readToEnd(), { bytes: Buffer.from('still'), end: 'end' });
    theirs.peer.close();

    const ours = await pair();
    rawKernel.shutdown(ours.fd, SHUT_WR);
    const second = await rig.reactor.adopt(ours.fd);
    assert.equal(second.state, 'half-closed-local');
    assert.equal(second.write('no'), 'closed');
    const text = read(second);
    await ours.peer.sendAll('heard');
    ours.peer.end();
    assert.equal(await settled(text, 'the rest'), 'heard');
    ours.peer.close();
  });

  it('sets only the options that are named', async () => {
    const plain = await pair();
    const first = await rig.reactor.adopt(plain.fd);
    assert.equal(first.getOption('noDelay'), false);
    first.abort();
    plain.peer.close();
    const named = await pair();
    const second = await rig.reactor.adopt(named.fd, { noDelay: true, keepAlive: true });
    assert.equal(second.getOption('noDelay'), true);
    assert.notEqual(second.getOption('keepAlive'), false);
    second.abort();
    named.peer.close();
  });

  it('takes Unix sockets', async () => {
    const unix = RawListener.listen(`unix-abstract://millrace-adopt-${process.pid}`);
    const { fd, peer } = await pair(unix);
    const connection = await rig.reactor.adopt(fd);
    assert.equal(connection.localAddress, unix.url);
    connection.write('by name');
    connection.end();
    assert.equal(String((await peer.readToEnd()).bytes), 'by name');
    peer.close();
    unix.close();
  });

  it('aborts with a reset, although the descriptor was a duplicate', async () => {
    const { fd, peer } = await pair();
    const connection = await rig.reactor.adopt(fd);
    connection.abort();
    assert.equal((await peer.readToEnd()).end, 'ECONNRESET');
    peer.close();
  });
});

describe('a descriptor that cannot be adopted', () => {
  it('is refused with what the system says', async () => {
    const file = openSync('/dev/null', 'r');
    const lonely = rawKernel.socket(AF_INET, SOCK_STREAM, 0);
    for (const [fd, code] of [
      [1_000_000, 'EBADF'],
      [file, 'ENOTSOCK'],
      [lonely, 'ENOTCONN'],
    ] as const) {
      const error = (await refused(fd)) as SystemError;
      assert.equal(error.code, code);
      assert.equal(error.address, `fd://${fd}`);
    }
    // Both directions have ended: there is no connection any more.
    const { fd: over, peer } = await pair();
    rawKernel.shutdown(over, SHUT_WR);
    peer.end();
    assert.equal((await peer.readToEnd()).end, 'end');
    assert.equal(((await refused(over)) as SystemError).code, 'ENOTCONN');
    rawKernel.close(over);
    peer.close();
    assert.equal(openDescriptors().has(file), true);
    assert.equal(openDescriptors().has(lonely), true);
    closeSync(file);
    rawKernel.close(lonely);
  });

  it('is refused when it is no connection', async () => {
    const datagrams = rawKernel.socket(AF_UNIX, SOCK_DGRAM, 0);
    assert.match((await refused(datagrams)).message, /expected a TCP or Unix stream socket/);
    assert.match((await refused(listener.fd)).message, /it listens/);
    rawKernel.close(datagrams);
    assert.ok((await refused(-1)) instanceof RangeError);
    assert.ok((await refused(0.5)) instanceof RangeError);
  });

  it('stays the caller’s when options are wrong, or the signal has been given', async () => {
    const { fd, peer } = await pair();
    const head = 'text' as unknown as Uint8Array;
    assert.ok((await refused(fd, { head })) instanceof TypeError);
    assert.ok((await refused(fd, { lowWaterMark: 2, highWaterMark: 1 })) instanceof RangeError);
    const reason = new Error('not now');
    assert.equal(await refused(fd, { signal: AbortSignal.abort(reason) }), reason);
    // The system's no comes after ours.
    const refusal = (await refused(fd, { bindToDevice: 'no-such-device' })) as SystemError;
    assert.ok(['ENODEV', 'EPERM'].includes(refusal.code), refusal.message);
    const connection = await rig.reactor.adopt(fd);
    connection.write('taken at last');
    connection.end();
    assert.equal(String((await peer.readToEnd()).bytes), 'taken at last');
    peer.close();
  });

  it('stays the caller’s when the reactor is full, or closing', async () => {
    const { fd, peer } = await pair();
    const { table } = rig.reactor.state;
    const { take } = table;
    table.take = () => -1;
    assert.equal(((await refused(fd)) as SystemError).code, 'EMFILE');
    table.take = take;
    rig.reactor.closeAll();
    assert.equal(((await refused(fd)) as SystemError).code, 'ERR_CLOSED');
    assert.equal(openDescriptors().has(fd), true);
    rawKernel.close(fd);
    peer.close();
  });
});
