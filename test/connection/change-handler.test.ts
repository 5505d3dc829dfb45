/** Connections that go on with another handler, over TCP and TLS: nothing received is lost, nothing comes twice. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import tls from 'node:tls';

import type { Connection, Handler } from '../../src/api.js';
import { dial } from '../../src/engine/dial.js';
import { serve } from '../../src/engine/serve.js';
import { tlsHandler } from '../../src/tls/index.js';
import { seededBytes } from '../support/bytes.js';
import { TestCertificates } from '../support/test-certificates.js';
import { until, within } from '../support/until.js';

let certificates: TestCertificates;
before(() => {
  certificates = new TestCertificates();
});

async function upperCase(connection: Connection): Promise<void> {
  let text = '';
  for await (const chunk of connection) {
    text += chunk.toString();
  }
  connection.write(text.toUpperCase());
  connection.close();
}

async function echoSlowly(connection: Connection): Promise<void> {
  for await (const chunk of connection) {
    while (connection.write(chunk) === 'full') {
      await connection.drained();
    }
  }
  connection.close();
}

async function start(transport: string, inner: Handler, options: object = {}): Promise<number> {
  const { cert, key } = certificates.server;
  const handler = transport === 'tls' ? tlsHandler({ cert, key }, inner) : inner;
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    onWarning: () => {},
    ...options,
    handler,
  });
  after(() => server.close({ deadlineMs: 0 }));
  return Number(server.addresses[0]!.split(':').at(-1));
}

async function connect(transport: string, port: number): Promise<net.Socket> {
  const socket =
    transport === 'tls'
      ? tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
      : net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  after(() => socket.destroy());
  socket.on('error', () => {});
  await within('the connection', once(socket, transport === 'tls' ? 'secureConnect' : 'connect'));
  return socket;
}

/** All that the server sends until it ends. */
async function rest(socket: net.Socket): Promise<Buffer> {
  const pieces: Buffer[] = [];
  socket.on('data', (bytes) => pieces.push(bytes));
  await within('the end', once(socket, 'end'));
  return Buffer.concat(pieces);
}

/** Reads a line `>`, and hands the connection over with what follows it. */
function switching(to: (connection: Connection) => Handler, events: string[] = []): Handler {
  return {
    onOpen: (connection) => {
      connection.context = 'first';
    },
    onData(connection, bytes) {
      assert.equal(bytes[0], 0x3e);
      assert.equal(connection.handOver(to(connection), bytes.subarray(1)), true);
      bytes.fill(0x21);
    },
    onEnd: () => void events.push('first end'),
    onClose: (connection) => void events.push(`first close ${String(connection.context)}`),
  };
}

/** Echoes by the pull face: four bytes at a time. */
function pullEcho(events: string[]): Handler {
  return {
    onOpen(connection) {
      events.push(`open ${String(connection.context)} ${connection.reader.length}`);
      connection.context = 'second';
    },
    onReadable(connection) {
      const bytes = connection.reader.next(4);
      if (bytes !== undefined) {
        connection.writer.writeBytes(bytes);
        connection.writer.flush();
      }
    },
    onEnd: () => void events.push('end'),
    onClose: () => void events.push('close'),
  };
}

for (const transport of ['tcp', 'tls']) {
  describe(`handOver, ${transport}`, () => {
    it('to a pull handler, with the head in its reader; both handlers see the close', async () => {
      const events: string[] = [];
      const port = await start(
        transport,
        switching(() => pullEcho(events), events),
      );
      const socket = await connect(transport, port);
      socket.write('>abcdefgh');
      const all = rest(socket);
      await until('the first open', () => events.length === 1);
      socket.end('ijkl');
      assert.equal((await all).toString(), 'abcdefghijkl');
      await until('the close', () => events.length === 4);
      assert.deepEqual(events, ['open undefined 8', 'end', 'close', 'first close second']);
    });

    it('to a push handler, whose options are its own', async () => {
      const events: string[] = [];
      const port = await start(transport, {
        ...switching(() => ({
          onData: (connection, bytes) => void connection.write(bytes),
          onEnd: (connection) => void events.push(connection.state),
        })),
        defaults: { allowHalfOpen: true },
      });
      const socket = await connect(transport, port);
      socket.write('>he');
      await within('the echo', once(socket, 'readable'));
      socket.end('llo');
      // Not half open any more: our side ends after the peer's.
      assert.equal((await rest(socket)).toString(), 'hello');
      assert.deepEqual(events, ['half-closed-remote']);
    });

    it('to an iterator, with the head, the rest and the end', async () => {
      const port = await start(
        transport,
        switching(() => ({
          defaults: { allowHalfOpen: true },
          onOpen: (connection) => void upperCase(connection),
        })),
      );
      const socket = await connect(transport, port);
      socket.write('>he');
      socket.end('llo');
      assert.equal((await rest(socket)).toString(), 'HELLO');
    });

    it('from a pull handler that has read a part, and later, paused and after the end', async () => {
      let held: Connection | undefined;
      const events: string[] = [];
      const port = await start(transport, {
        defaults: { allowHalfOpen: true },
        onReadable(connection) {
          if (connection.reader.readString(1) === '>') {
            // What is unread goes after the head.
            connection.handOver(
              {
                onData(second, bytes) {
                  second.write(bytes);
                  if (bytes.includes('.')) {
                    second.pause();
                    held = second;
                  }
                },
                onEnd: () => void events.push('second end'),
              },
              Buffer.from('<'),
            );
          }
        },
      });
      const socket = await connect(transport, port);
      socket.write('>he.');
      await until('the pause', () => held !== undefined);
      socket.end('llo');
      await until('the bytes to be there', () => held!.bytesReceived >= 4);
      const all = rest(socket);
      assert.equal(held!.handOver(pullEcho(events), Buffer.from('+++')), true);
      await until('the end', () => events.includes('end'));
      assert.equal((await all).subarray(0, 8).toString(), '<he.+++l');
      assert.equal(held!.handOver({}), false);
      assert.ok(!events.includes('second end'));
    });

    it('the end that the handler before was told of is told again', async () => {
      let first: Connection | undefined;
      const events: string[] = [];
      const port = await start(transport, {
        defaults: { allowHalfOpen: true },
        onData: () => {},
        onEnd: (connection) => {
          first = connection;
        },
      });
      const socket = await connect(transport, port);
      socket.end('x');
      await until('the first end', () => first !== undefined);
      first!.handOver(pullEcho(events), Buffer.from('abcd'));
      assert.equal((await rest(socket)).toString(), 'abcd');
      assert.deepEqual(events.slice(0, 2), ['open undefined 4', 'end']);
    });

    it('back-pressure holds: a slow pull handler and a slow peer', async () => {
      const sent = seededBytes(3_000_000, 7);
      const port = await start(
        transport,
        switching(() => ({
          defaults: { allowHalfOpen: true },
          onOpen: (connection) => void echoSlowly(connection),
        })),
        { writeQueueMax: 100_000, sendBufferBytes: 8_192 },
      );
      const socket = await connect(transport, port);
      socket.write('>');
      socket.end(sent);
      const echoed = await rest(socket);
      assert.ok(echoed.equals(sent));
    });

    it('a hook that throws costs its connection, and wrong arguments throw', async () => {
      const events: string[] = [];
      const port = await start(transport, {
        onData(connection, bytes) {
          assert.throws(() => connection.handOver(5 as never), TypeError);
          assert.throws(() => connection.handOver({}, 'x' as never), TypeError);
          const both = { onData() {}, onReadable() {} };
          assert.throws(() => connection.handOver(both), TypeError);
          events.push('checked');
          connection.handOver({
            onOpen() {
              throw new Error(`thrown ${bytes}`);
            },
            onClose: (_, { code, error }) => void events.push(`${code} ${error?.message}`),
          });
        },
      });
      const uncaught: unknown[] = [];
      const note = (error: unknown) => uncaught.push(error);
      process.on('uncaughtException', note);
      const socket = await connect(transport, port);
      socket.write('x');
      await until('the close', () => socket.destroyed);
      await until('the close', () => events.length === 2);
      assert.deepEqual(events, ['checked', 'handler thrown x']);
      process.off('uncaughtException', note);
      assert.deepEqual(uncaught, []);
    });
  });
}

describe('handOver', () => {
  it('refuses a connection that is iterated over, and of a client works too', async () => {
    const port = await start('tcp', {
      onData: (connection, bytes) => void connection.write(bytes),
    });
    const url = `tcp://127.0.0.1:${port}`;
    const iterated = await dial(url);
    iterated[Symbol.asyncIterator]();
    assert.throws(() => iterated.handOver({}), /iterated over/);
    iterated.abort();
    const connection = await dial(url);
    let text = '';
    connection.handOver({
      onData(_, bytes) {
        text += bytes.toString();
      },
    });
    connection.write('echo');
    await until('the echo', () => text === 'echo');
    connection.abort();
    assert.equal(connection.handOver({}), false);
  });
});
