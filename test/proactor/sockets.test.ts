/** Sockets of Node's, handed over at any time: at once, after a handshake, with something unread or unsent. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { TLSSocket } from 'node:tls';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';

import { type Result, Watcher } from '../../src/proactor/index.js';
import { awaitCondition, settled } from '../support/await-condition.js';
import { noise, sha256 } from '../support/noise.js';

let listener: Server;
let watcher: Watcher<Socket>;
let accepted: Socket[];
/** How many peers have sent FIN. */
let ended: number;

beforeEach(async () => {
  accepted = [];
  ended = 0;
  listener = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    socket.on('end', () => {
      ended += 1;
    });
    accepted.push(socket);
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  watcher = new Watcher<Socket>();
});
afterEach(async () => {
  for (const socket of accepted) {
    socket.destroy();
  }
  await settled(watcher.close(), 'the close');
  listener.close();
});

function dialled(): Socket {
  const address = listener.address();
  assert.ok(typeof address === 'object' && address !== null);
  return connect(address.port, '127.0.0.1');
}

/** The next results, exactly so many, as text. */
async function take(count: number): Promise<string[]> {
  const texts: string[] = [];
  while (texts.length < count) {
    const batch: Result<Socket>[] = (await settled(watcher.waitIo(), 'results'))!;
    for (const { operation, context, size, buffer, error } of batch) {
      const text = operation === 'read' ? ` ${Buffer.from(buffer.subarray(0, size))}` : '';
      texts.push(
        `${operation} ${context} ${size}${text}${error === undefined ? '' : ` ${error.code}`}`,
      );
    }
  }
  assert.equal(texts.length, count);
  return texts;
}

describe('a socket of Node’s', () => {
  it('that is not connected yet works: operations wait', async () => {
    const socket = dialled();
    watcher.write(socket, Buffer.from('question'), { context: 1 });
    watcher.read(socket, undefined, { context: 2 });
    assert.deepEqual(await take(1), ['write 1 8']);
    await awaitCondition(() => accepted.length === 1, 'the connection');
    const [question] = (await once(accepted[0]!, 'data')) as [Buffer];
    assert.equal(question.toString(), 'question');
    accepted[0]!.write('answer');
    assert.deepEqual(await take(1), ['read 2 6 answer']);
    assert.equal(socket.destroyed, true);
    accepted[0]!.end();
    watcher.read(socket, undefined, { context: 3 });
    assert.deepEqual(await take(1), ['read 3 0  ERR_END']);
  });

  it('is taken over after a handshake, with what had been read ahead', async () => {
    const socket = dialled();
    socket.write('HELLO\n');
    await awaitCondition(() => accepted.length === 1, 'the connection');
    await once(accepted[0]!, 'data');
    accepted[0]!.write('WELCOME\nand more');
    // The handshake is Node's; what came behind it is left in the socket.
    await once(socket, 'readable');
    assert.equal(socket.read(8)?.toString(), 'WELCOME\n');
    watcher.read(socket, Buffer.alloc(100), { context: 1 });
    assert.deepEqual(await take(1), ['read 1 8 and more']);
    watcher.write(socket, Buffer.from('from the watcher'), { context: 2 });
    const [bytes] = (await once(accepted[0]!, 'data')) as [Buffer];
    assert.equal(bytes.toString(), 'from the watcher');
    assert.deepEqual(await take(1), ['write 2 16']);
  });

  it('sends what Node had to send first, then what is written here', async () => {
    const socket = dialled();
    await once(socket, 'connect');
    await awaitCondition(() => accepted.length === 1, 'the connection');
    const before = noise(1, 4 * 1_048_576);
    socket.write(before);
    watcher.write(socket, Buffer.from('behind it'), { context: 1 });
    const chunks: Buffer[] = [];
    accepted[0]!.on('data', (chunk: Buffer) => chunks.push(chunk));
    assert.deepEqual(await take(1), ['write 1 9']);
    const length = () => chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    await awaitCondition(() => length() === before.length + 9, 'all bytes');
    const all = Buffer.concat(chunks);
    assert.equal(sha256(all.subarray(0, before.length)), sha256(before));
    assert.equal(all.subarray(before.length).toString(), 'behind it');
  });

  it('accepted by node:net is served by a watcher: echo for many', async () => {
    const echo = (async () => {
      for await (const results of watcher) {
        for (const { operation, connection, buffer, error } of results) {
          if (error !== undefined) {
            watcher.free(connection);
          } else if (operation === 'read') {
            watcher.write(connection, Buffer.from(buffer));
          } else {
            watcher.read(connection);
          }
        }
      }
    })();
    listener.on('connection', (socket: Socket) => watcher.read(socket));
    const clients = Array.from({ length: 50 }, dialled);
    const texts = await Promise.all(
      clients.map(async (client, i) => {
        client.write(`number ${i}`);
        const [bytes] = (await once(client, 'data')) as [Buffer];
        client.end();
        await once(client, 'close');
        return bytes.toString();
      }),
    );
    assert.deepEqual(
      texts,
      clients.map((_, i) => `number ${i}`),
    );
    await awaitCondition(() => watcher.stats.connections === 0, 'the end of all');
    await watcher.close();
    await settled(echo, 'the loop');
  });

  it('on a Unix socket works, too', async () => {
    const path = join(tmpdir(), `millrace-proactor-${process.pid}.sock`);
    const server = createServer((socket) => socket.pipe(socket));
    server.listen(path);
    await once(server, 'listening');
    const socket = connect(path);
    watcher.write(socket, Buffer.from('there and back'));
    watcher.readFull(socket, Buffer.alloc(14), { context: 1 });
    assert.deepEqual(await take(2), ['write undefined 14', 'read 1 14 there and back']);
    watcher.free(socket);
    await awaitCondition(() => watcher.stats.connections === 0, 'the close');
    server.close();
  });

  it('that cannot connect fails every operation', async () => {
    const port = (listener.address() as { port: number }).port;
    listener.close();
    await once(listener, 'close');
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    watcher.read(socket, undefined, { context: 1 });
    watcher.write(socket, Buffer.from('x'), { context: 2 });
    const texts = await take(2);
    assert.deepEqual(texts, ['read 1 0  ERR_CLOSED', 'write 2 0 ERR_CLOSED']);
    watcher.read(socket, undefined, { context: 3 });
    assert.deepEqual(await take(1), ['read 3 0  ERR_CLOSED']);
    assert.equal(watcher.free(socket), false);
  });

  it('that was destroyed, or never connected, fails in the same way', async () => {
    for (const socket of [new Socket().destroy(), new Socket()]) {
      watcher.read(socket, undefined, { context: 1 });
      assert.deepEqual(await take(1), ['read 1 0  ERR_CLOSED']);
    }
  });

  it('that has an encoding, or its keys in Node, is refused', async () => {
    const encoded = dialled().setEncoding('utf8');
    watcher.read(encoded, undefined, { context: 1 });
    assert.deepEqual(await take(1), ['read 1 0  ERR_CLOSED']);
    const encrypted = new TLSSocket(new Socket());
    assert.throws(() => watcher.read(encrypted), { name: 'TypeError', message: /TLSSocket/ });
    encoded.destroy();
    encrypted.destroy();
  });

  it('may be freed before it is connected, or never used', async () => {
    const early = dialled();
    watcher.read(early, undefined, { context: 1 });
    assert.equal(watcher.free(early), true);
    assert.deepEqual(await take(1), ['read 1 0  ERR_FREED']);
    const unused = dialled();
    await once(unused, 'connect');
    assert.equal(watcher.free(unused), true);
    await awaitCondition(() => ended === 2, 'the end of both connections');
    for (const socket of accepted) {
      socket.end();
    }
    await awaitCondition(() => watcher.stats.connections === 0, 'the close of both');
  });

  it('has deadlines while it is on its way here', async () => {
    const socket = dialled();
    await once(socket, 'connect');
    await awaitCondition(() => accepted.length === 1, 'the connection');
    // The other end is destroyed after the test.
    socket.on('error', () => {});
    // More than the kernel takes from someone whose peer does not read.
    socket.write(noise(1, 16 * 1_048_576));
    watcher.write(socket, Buffer.from('x'), { context: 1, deadlineMs: 30 });
    assert.deepEqual(await take(1), ['write 1 0 ERR_DEADLINE']);
  });
});
