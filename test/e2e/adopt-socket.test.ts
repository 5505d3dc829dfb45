/** A `net.Socket` becomes a connection at any time of its life, and the peer does not notice. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import tls from 'node:tls';

import { type AdoptOptions, adopt, type Connection, dial } from '../../src/index.js';
import { awaitCondition, rounds, settled } from '../support/await-condition.js';
import { descriptorCounts } from '../support/open-descriptors.js';
import { RawPeer } from '../support/raw-peer.js';
import { LinuxRig } from '../support/reactor-rig.js';

let rig: LinuxRig;
let server: net.Server;
let before: Record<string, number>;
const peers: RawPeer[] = [];

beforeEach(async () => {
  before = descriptorCounts();
  rig = LinuxRig.open({});
  server = net.createServer({ allowHalfOpen: false }, (socket) => socket.on('error', () => {}));
  await once(server.listen(0, '127.0.0.1'), 'listening');
});

afterEach(async () => {
  for (const peer of peers.splice(0)) {
    peer.close();
  }
  await new Promise((resolve) => server.close(resolve));
  assert.equal(await rig.close(), 0, 'blocks were kept');
  await awaitCondition(() => {
    const now = descriptorCounts();
    return now.socket === before.socket;
  }, 'the sockets to be closed');
});

function urlOf(from: net.Server): string {
  const address = from.address();
  return typeof address === 'object' ? `tcp://127.0.0.1:${address!.port}` : `unix://${address}`;
}

async function pair(from: net.Server = server, options = {}) {
  const accepted = once(from, 'connection') as Promise<[net.Socket]>;
  const peer = await RawPeer.connect(urlOf(from), options);
  peers.push(peer);
  const [socket] = await accepted;
  return { peer, socket };
}

async function refusal(socket: net.Socket, options?: AdoptOptions): Promise<NodeJS.ErrnoException> {
  return settled(
    rig.reactor.adopt(socket, options).then(
      () => assert.fail('it was adopted'),
      (error: Error) => error,
    ),
    'the refusal',
  );
}

async function readAll(connection: Connection): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of connection) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** So much that the kernel cannot take it while nobody reads. */
const MUCH = Buffer.alloc(8_388_608, 'much ');

describe('adopting a net.Socket', () => {
  it('that was not touched', async () => {
    const { peer, socket } = await pair();
    const connection = await rig.reactor.adopt(socket);
    assert.equal(socket.destroyed, true);
    const text = readAll(connection);
    await peer.sendAll('ping');
    connection.write('pong');
    assert.equal(String(await peer.read(4)), 'pong');
    peer.end();
    assert.equal(String(await settled(text, 'the end')), 'ping');
    assert.deepEqual(await peer.readToEnd(), { bytes: Buffer.alloc(0), end: 'end' });
  });

  it('sends nothing to the peer by itself: no FIN, no reset', async () => {
    const { peer, socket } = await pair();
    const connection = await rig.reactor.adopt(socket);
    await once(socket, 'close');
    await rounds(20);
    assert.equal(peer.receive(), undefined);
    connection.abort();
  });

  it('in the midst of a conversation: what Node has read and not told comes first', async () => {
    const { peer, socket } = await pair();
    await peer.sendAll('hello\nand this was read with it, ');
    await once(socket, 'readable');
    assert.equal(String(socket.read(6)), 'hello\n');
    socket.write('welcome, ');
    const connection = await rig.reactor.adopt(socket);
    const text = readAll(connection);
    await peer.sendAll('and this later');
    peer.end();
    assert.equal(
      String(await settled(text, 'the end')),
      'and this was read with it, and this later',
    );
    assert.equal(String(await peer.read(9)), 'welcome, ');
  });

  it('from within its data listener, with the rest put back by unshift', async () => {
    const { peer, socket } = await pair();
    const taken: Buffer[] = [];
    const connection = new Promise<Connection>((resolve) => {
      socket.on('data', (bytes) => {
        taken.push(bytes);
        // Else the listener would get it at once.
        socket.pause();
        socket.unshift(bytes.subarray(5));
        resolve(rig.reactor.adopt(socket));
      });
    });
    await peer.sendAll('LOGINbody, ');
    const text = readAll(await settled(connection, 'the connection'));
    await peer.sendAll('more body');
    peer.end();
    assert.equal(String(await settled(text, 'the end')), 'body, more body');
    assert.equal(taken.length, 1, 'listeners of the socket are not told of what is handed over');
  });

  it('sends first what was written before', async () => {
    const { peer, socket } = await pair();
    socket.cork();
    socket.write(MUCH);
    socket.write('the end of it. ');
    const adopted = rig.reactor.adopt(socket, { flushTimeoutMs: 0 });
    // While it waits nothing of the peer's is lost, or told to the socket's listeners.
    socket.on('data', () => assert.fail('a listener was told'));
    await peer.sendAll('meanwhile');
    const sent = await peer.read(MUCH.byteLength);
    assert.ok(sent.equals(MUCH));
    const connection = await settled(adopted, 'the adoption');
    const received = connection[Symbol.asyncIterator]().next();
    connection.write('Then this.');
    connection.end();
    assert.equal(String((await peer.readToEnd()).bytes), 'the end of it. Then this.');
    assert.equal(String((await settled(received, 'the bytes')).value), 'meanwhile');
    connection.abort();
  });

  it('keeps half-open states: FIN received, FIN sent, FIN on its way behind much', async () => {
    const received = await pair(server);
    received.socket.allowHalfOpen = true;
    received.peer.end();
    await once(received.socket.resume(), 'end');
    const first = await rig.reactor.adopt(received.socket, { allowHalfOpen: true });
    await awaitCondition(() => first.state === 'half-closed-remote', 'the FIN');
    first.write('one way');
    first.end();
    assert.equal(String((await received.peer.readToEnd()).bytes), 'one way');

    const sent = await pair(server);
    sent.socket.end('bye');
    await once(sent.socket, 'finish');
    const second = await rig.reactor.adopt(sent.socket);
    assert.equal(second.state, 'half-closed-local');
    const heard = readAll(second);
    assert.deepEqual(await sent.peer.readToEnd(), { bytes: Buffer.from('bye'), end: 'end' });
    await sent.peer.sendAll('other way');
    sent.peer.end();
    assert.equal(String(await settled(heard, 'the end')), 'other way');

    const sending = await pair(server);
    sending.socket.end(MUCH);
    const adopted = rig.reactor.adopt(sending.socket);
    const all = sending.peer.readToEnd();
    const third = await settled(adopted, 'the adoption');
    assert.equal((await all).bytes.byteLength, MUCH.byteLength);
    assert.equal(third.state, 'half-closed-local');
    third.abort();
  });

  it('does not answer the peer’s FIN for the connection, while it waits or before', async () => {
    const { peer, socket } = await pair();
    socket.write(MUCH);
    const adopted = rig.reactor.adopt(socket, { allowHalfOpen: true, flushTimeoutMs: 0 });
    await peer.sendAll('last words');
    peer.end();
    await peer.read(MUCH.byteLength);
    const connection = await settled(adopted, 'the adoption');
    assert.equal(String(await settled(readAll(connection), 'the end')), 'last words');
    assert.equal(connection.state, 'half-closed-remote');
    connection.write('thank you');
    connection.end();
    assert.deepEqual(await peer.readToEnd(), { bytes: Buffer.from('thank you'), end: 'end' });
  });

  it('that has answered the FIN already, in its end listener', async () => {
    const { peer, socket } = await pair();
    const adopted = new Promise<Connection>((resolve) => {
      socket.resume().on('end', () => {
        socket.cork();
        Object.getPrototypeOf(net.Socket.prototype).write.call(socket, 'corked');
        resolve(rig.reactor.adopt(socket, { allowHalfOpen: true }));
      });
    });
    peer.end();
    const connection = await settled(adopted, 'the adoption');
    connection.write(', then ours');
    connection.end();
    assert.equal(String((await peer.readToEnd()).bytes), 'corked, then ours');
  });

  it('that is not connected yet', async () => {
    const accepted = once(server, 'connection') as Promise<[net.Socket]>;
    const address = server.address() as net.AddressInfo;
    const socket = net.connect(address.port, 'localhost');
    socket.write('early');
    const connection = await settled(rig.reactor.adopt(socket), 'the adoption');
    const [other] = await accepted;
    connection.write(' and late');
    connection.end();
    let text = '';
    for await (const chunk of other) {
      text += chunk;
    }
    assert.equal(text, 'early and late');
    await awaitCondition(() => connection.state === 'closed', 'the close');
  });

  it('keeps the socket’s options', async () => {
    const { socket } = await pair();
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 7_000);
    const connection = await rig.reactor.adopt(socket);
    assert.equal(connection.getOption('noDelay'), true);
    const keepAlive = connection.getOption('keepAlive') as { idleSeconds: number };
    assert.equal(keepAlive.idleSeconds, 7);
    connection.abort();
  });

  it('of the Unix kind', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-adopt-'));
    const unix = net.createServer().listen(join(folder, 'socket'));
    await once(unix, 'listening');
    const { peer, socket } = await pair(unix);
    socket.write('before, ');
    const connection = await rig.reactor.adopt(socket);
    connection.write('after');
    connection.end();
    assert.equal(String((await peer.readToEnd()).bytes), 'before, after');
    peer.close();
    await new Promise((resolve) => unix.close(resolve));
    rmSync(folder, { recursive: true });
  });

  it('without a server: on the thread’s own reactor, the one of dial', async () => {
    const { peer, socket } = await pair();
    const connection = await adopt(socket);
    const dialed = await dial(urlOf(server));
    assert.equal(connection.reactor, dialed.reactor);
    connection.write('hello');
    assert.equal(String(await peer.read(5)), 'hello');
    dialed.abort();
    connection.abort();
    await awaitCondition(() => connection.reactor.connectionCount === 0, 'the closes');
  });
});

describe('a net.Socket that cannot be adopted', () => {
  it('is told from one by a TypeError', async () => {
    const { peer, socket } = await pair();
    const secure = new tls.TLSSocket(socket, { isServer: true });
    secure.on('error', () => {});
    assert.match((await refusal(secure)).message, /tls.TLSSocket.*fromDuplex/);
    secure.destroy();
    peer.close();
    const strange = { fd: 1 } as unknown as net.Socket;
    assert.ok((await refusal(strange)) instanceof TypeError);
    assert.ok((await refusal(null as unknown as net.Socket)) instanceof TypeError);
    const text = await pair();
    text.socket.setEncoding('utf8');
    assert.match((await refusal(text.socket)).message, /setEncoding/);
    text.socket.destroy();
  });

  it('is closed', async () => {
    const { socket } = await pair();
    socket.destroy();
    assert.equal((await refusal(socket)).code, 'ERR_CLOSED');
    assert.equal((await refusal(new net.Socket())).code, 'ERR_CLOSED');
  });

  it('was never connected: the connect’s error is the cause', async () => {
    const { port } = server.address() as net.AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => {});
    const error = await refusal(socket);
    assert.equal(error.code, 'ERR_CLOSED');
    assert.equal((error.cause as NodeJS.ErrnoException).code, 'ECONNREFUSED');
    server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
  });

  it('goes on as it was, and nothing is lost, when time, signal or room run out', async () => {
    const { peer, socket } = await pair();
    const seen: string[] = [];
    socket.on('data', (bytes) => void seen.push(bytes.toString()));
    socket.write(MUCH);
    const late = await refusal(socket, { flushTimeoutMs: 20 });
    assert.equal(late.code, 'ETIMEDOUT');
    const controller = new AbortController();
    const aborted = refusal(socket, { signal: controller.signal });
    controller.abort(new Error('changed my mind'));
    assert.equal((await aborted).message, 'changed my mind');
    await peer.read(MUCH.byteLength);
    await awaitCondition(() => socket.writableLength === 0, 'the flush');

    await peer.sendAll('one, ');
    await awaitCondition(() => seen.length === 1, 'the first bytes');
    socket.pause();
    const { table } = rig.reactor.state;
    const { take } = table;
    table.take = () => -1;
    await peer.sendAll('two');
    await rounds(10);
    assert.equal((await refusal(socket)).code, 'EMFILE');
    table.take = take;
    socket.resume();
    await awaitCondition(() => seen.join('') === 'one, two', 'the rest');
    assert.equal(socket.allowHalfOpen, false);
    socket.destroy();
  });

  it('is given back when the reactor closes while it waits', async () => {
    const { socket } = await pair();
    socket.write(MUCH);
    const refused = refusal(socket);
    await rounds(2);
    rig.reactor.closeAll();
    assert.equal((await refused).code, 'ERR_CLOSED');
    assert.equal(socket.destroyed, false);
    socket.destroy();
  });
});
