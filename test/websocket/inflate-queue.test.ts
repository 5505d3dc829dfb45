/** websocket/inflate-queue: messages that take long to inflate, in steps and turns, alone and over sockets. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { constants, deflateRawSync } from 'node:zlib';

import fc from 'fast-check';

import type { Reactor } from '../../src/index.js';
import { census } from '../../src/base/zlib.js';
import { Compressions } from '../../src/websocket/compression.js';
import { Deflater } from '../../src/websocket/deflate.js';
import { readDeflateOptions } from '../../src/websocket/deflate-options.js';
import { Inflater } from '../../src/websocket/inflate.js';
import { InflateQueue } from '../../src/websocket/inflate-queue.js';
import type { WebSocket } from '../../src/websocket/index.js';
import { awaitCondition, rounds } from '../support/await-condition.js';
import { startServer } from './support/echo-server.js';
import { masked, OP } from './support/frames.js';
import { RawWebSocket } from './support/raw-web-socket.js';

const FORGETS = { deflateBits: 15, deflateKeeps: false, inflateBits: 15, inflateKeeps: false };
const KEEPS = { ...FORGETS, deflateKeeps: true, inflateKeeps: true };
const MIB = 1 << 20;

/** Text without repetitions: about half of its length when it is packed. */
function longText(length: number, seed = 1): string {
  const words = new Int32Array(Math.ceil(length / 8));
  let state = seed;
  for (let i = 0; i < words.length; i += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    words[i] = state ^ (state >>> 15);
  }
  return Buffer.from(words.buffer).toString('hex').slice(0, length);
}

function packed(text: string): Buffer {
  return deflateRawSync(Buffer.from(text), { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
}

const LONG = longText(700_000);
const PACKED = packed(LONG);
const BOMB = packed('\0'.repeat(64 * MIB));

/** A reactor's tasks, run when the test says so. */
class Tasks {
  readonly list: ((reactor: Reactor) => void)[] = [];
  readonly reactor = { execute: (task: () => void) => this.list.push(task) } as unknown as Reactor;

  run(): void {
    for (const task of this.list.splice(0)) task(this.reactor);
  }
}

test('in any steps, the messages that there are in one go', () => {
  const message = fc.oneof(
    fc.uint8Array({ maxLength: 3_000 }),
    fc.tuple(fc.string({ maxLength: 30 }), fc.nat(9_000)).map(([s, n]) => Buffer.from(s.repeat(n))),
    fc.nat(150_000).map((n) => Buffer.from(longText(n))),
  );
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 6 }),
      fc.boolean(),
      fc.infiniteStream(fc.boolean()),
      (messages, keeps, choices) => {
        const deflater = new Deflater(15, 6, 8, keeps);
        const inflater = new Inflater(15, keeps, 2_000, { spend: () => choices.next().value! });
        try {
          for (const data of messages) {
            const bytes = Buffer.from(deflater.deflate(data));
            let result = inflater.inflate(bytes, MIB);
            while (result === undefined) result = inflater.proceed(bytes);
            assert.ok(result instanceof Uint8Array);
            assert.ok(Buffer.from(data).equals(result));
          }
        } finally {
          deflater.end();
          inflater.end();
        }
      },
    ),
    { numRuns: 100 },
  );
});

test('a turn inflates some of one message at a time, in the order in which they came', () => {
  const before = census.streams;
  const tasks = new Tasks();
  const queue = new InflateQueue(tasks.reactor);
  const compressions = new Compressions(readDeflateOptions({}), queue);
  const compression = compressions.for(FORGETS);
  assert.equal(compression.inflate(packed('short'), MIB)?.toString(), 'short');
  assert.equal(tasks.list.length, 0, 'what is short asks for no turn');
  const done: number[] = [];
  const inflations = [0, 1, 2, 3].map((i) => {
    const data = i === 2 ? BOMB : packed(longText(300_000, i + 1));
    assert.equal(compression.inflate(data, MIB), undefined, 'it takes longer than a turn');
    return compression.defer(data, MIB, undefined, () => done.push(i));
  });
  assert.equal(compression.inflate(packed('short'), MIB)?.toString(), 'short', 'meanwhile');
  assert.deepEqual(done, []);
  inflations[1]!.cancel();
  inflations[1]!.cancel();
  let turns = 0;
  for (; tasks.list.length > 0; turns += 1) {
    const count = done.length;
    tasks.run();
    assert.ok(done.length <= count + 1);
    assert.ok(turns < 100);
    assert.equal(compression.inflate(packed('short'), MIB)?.toString(), 'short', 'meanwhile');
  }
  assert.deepEqual(done, [0, 2, 3]);
  assert.ok(turns >= 3 + 4 + 3, `${turns} turns`);
  const [first, second, third, last] = inflations.map(({ outcome }) => outcome);
  assert.equal(first?.toString(), longText(300_000, 1));
  assert.equal(second, undefined);
  assert.ok(third !== undefined && 'code' in third && third.code === 'ERR_WS_TOO_BIG');
  assert.equal(last?.toString(), longText(300_000, 4));
  compression.end();
  assert.equal(census.streams, before, 'all contexts are freed');
});

test('contexts that keep go on where they stopped; one that is cancelled in the midst ends', () => {
  const before = census.streams;
  const tasks = new Tasks();
  const settings = readDeflateOptions({ contexts: 'own' });
  const compressions = new Compressions(settings, new InflateQueue(tasks.reactor));
  const [one, two] = [compressions.for(KEEPS), compressions.for(KEEPS)];
  const messages = [LONG, LONG].map((text) => Buffer.from(two.deflater.deflate(Buffer.from(text))));
  for (const message of messages) {
    const outcomes: unknown[] = [];
    const direct = one.inflate(message, MIB);
    const cut = two.inflate(message, MIB);
    assert.equal(cut, undefined);
    const [late, cancelled] = [one, two].map((compression) =>
      compression.defer(message, MIB, undefined, () => outcomes.push('done')),
    );
    assert.equal(direct, undefined);
    if (message === messages[1]) {
      tasks.run();
      cancelled!.cancel();
      two.end();
    }
    while (tasks.list.length > 0) tasks.run();
    assert.equal(late!.outcome?.toString(), LONG);
    assert.equal(cancelled!.outcome === undefined, message === messages[1]);
    assert.equal(outcomes.length, message === messages[1] ? 1 : 2);
  }
  one.end();
  assert.equal(census.streams, before);
});

/** Resolves when a message of it is deferred, before the next turn. */
function deferral({ connection }: WebSocket): Promise<void> {
  return new Promise((resolve) => {
    connection.pause = function pause() {
      resolve();
      Object.getPrototypeOf(this).pause.call(this);
    };
  });
}

for (const contexts of ['shared', 'own'] as const) {
  const fields = { 'Sec-WebSocket-Extensions': 'permessage-deflate' };
  const long = masked(OP.TEXT, PACKED, { rsv: 4 });

  test(`over sockets, ${contexts} contexts: what follows waits, others do not`, async (t) => {
    const texts: string[] = [];
    const { url, handler, warnings } = await startServer(t, {
      deflate: { contexts, thresholdBytes: MIB },
      onMessage(socket, data) {
        const text = data.toString();
        texts.push(text === LONG ? 'long' : text);
        socket.send(texts.at(-1)!);
      },
    });
    const peer = await RawWebSocket.open(t, url, fields);
    const other = await RawWebSocket.open(t, url, fields);
    peer.write(Buffer.concat([long, masked(OP.PING, 'p'), masked(OP.TEXT, 'after')]));
    other.send(OP.TEXT, 'other');
    assert.deepEqual(await other.lines(1), ['text other']);
    assert.deepEqual(await peer.lines(3), ['text long', 'pong p', 'text after']);
    // In pieces, with control frames between them, and the end right behind.
    const pieces = [PACKED.subarray(0, 100_000), PACKED.subarray(100_000)];
    peer.write(
      Buffer.concat([
        masked(OP.TEXT, pieces[0]!, { rsv: 4, fin: false }),
        masked(OP.PING, 'q'),
        masked(OP.CONTINUATION, pieces[1]!),
        masked(OP.TEXT, 'last'),
      ]),
    );
    peer.client.socket.end();
    assert.deepEqual(await peer.lines(4), ['pong q', 'text long', 'text last', 'end']);
    const own = texts.filter((text) => text !== 'other');
    assert.deepEqual(own, ['long', 'after', 'long', 'last']);
    await other.close();
    await awaitCondition(() => handler.stats.sockets === 0, 'all to be gone');
    assert.deepEqual(warnings, []);
  });

  test(`bombs and broken messages are refused in later turns, ${contexts}`, async (t) => {
    const { url, warnings } = await startServer(t, { deflate: { contexts, ratioMax: 10_000 } });
    for (const [bytes, line] of [
      [BOMB, /^close 1009 /],
      [Buffer.concat([PACKED.subarray(0, 300_000), Buffer.alloc(100, 0xff)]), /^close 1007 /],
    ] as const) {
      const peer = await RawWebSocket.open(t, url, fields);
      peer.send(OP.BINARY, bytes, { rsv: 4 });
      assert.match(await peer.line(), line);
      assert.equal(await peer.line(), 'end');
      peer.client.socket.end();
    }
    assert.deepEqual(warnings, []);
  });

  test(`paused, closed, aborted in the midst, ${contexts}`, async (t) => {
    const before = census.streams;
    const got: string[] = [];
    const { url, handler, sockets, warnings } = await startServer(t, {
      deflate: { contexts },
      onMessage: (_socket, data) => void got.push(data.length === LONG.length ? 'long' : `${data}`),
    });
    const open = async () => {
      const peer = await RawWebSocket.open(t, url, fields);
      peer.client.socket.on('error', () => {});
      return { peer, socket: sockets.at(-1)! };
    };
    const paused = await open();
    const pausedDeferral = deferral(paused.socket);
    paused.peer.write(Buffer.concat([long, masked(OP.TEXT, 'next')]));
    await pausedDeferral;
    paused.socket.pause();
    const passer = await open();
    passer.peer.write(Buffer.concat([long, masked(OP.TEXT, 'passer')]));
    await awaitCondition(() => got.includes('passer'), 'the message behind it in the queue');
    assert.deepEqual(got, ['long', 'passer'], 'nothing of the one that is paused');
    paused.socket.resume();
    await awaitCondition(() => got.includes('next'), 'the message after the pause');
    assert.deepEqual(got, ['long', 'passer', 'long', 'next']);
    const ends = [
      ['close', (socket: (typeof sockets)[0]) => socket.close(4_000)],
      ['connection.close', (socket: (typeof sockets)[0]) => socket.connection.close()],
      ['abort', (socket: (typeof sockets)[0]) => socket.abort()],
    ] as const;
    for (const [name, end] of ends) {
      const { peer, socket } = await open();
      const deferred = deferral(socket);
      peer.write(long);
      await deferred;
      end(socket);
      assert.equal(await peer.line(), name === 'close' ? 'close 4000' : 'end');
      peer.client.socket.end();
      await awaitCondition(() => socket.state === 'closed', name);
    }
    for (const { peer } of [paused, passer]) await peer.close();
    await awaitCondition(() => handler.stats.sockets === 0, 'all to be gone');
    assert.deepEqual(warnings, []);
    assert.equal(census.streams, before, 'all contexts are freed');
  });

  test(`peers that reset, and a server that closes, in the midst leak nothing, ${contexts}`, async (t) => {
    const before = census.streams;
    const { server, url, handler, warnings, closes } = await startServer(t, {
      deflate: { contexts },
    });
    for (let i = 0; i < 24; i += 1) {
      const peer = await RawWebSocket.open(t, url, fields);
      peer.client.socket.on('error', () => {});
      peer.write(long);
      await rounds(i % 12);
      peer.client.socket.resetAndDestroy();
    }
    await awaitCondition(() => handler.stats.sockets === 0, 'all to be gone');
    assert.equal(census.streams, before);
    for (let i = 0; i < 8; i += 1) {
      const peer = await RawWebSocket.open(t, url, fields);
      peer.client.socket.on('error', () => {});
      peer.write(long);
      await rounds(i % 4);
    }
    await server.close({ deadlineMs: 50 });
    assert.equal(closes.length, 32);
    assert.deepEqual(warnings, []);
    assert.equal(census.streams, before);
  });
}
