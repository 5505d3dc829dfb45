/** websocket/hub: topics within a reactor and across reactors, and what slow subscribers get. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';

import { WebSocket as WsClient } from 'ws';

import { dial, type Reactor, serve } from '../../src/index.js';
import {
  connectWebSocket,
  encodePublication,
  type HubOptions,
  type HubStats,
  type WebSocket,
  WebSocketHub,
} from '../../src/websocket/index.js';
import { decodePublication } from '../../src/websocket/publication.js';
import { awaitCondition } from '../support/await-condition.js';
import { untilAnswer } from '../support/until.js';
import { type TestServer, startServer } from './support/echo-server.js';
import { OP } from './support/frames.js';
import { RawWebSocket } from './support/raw-web-socket.js';

type Scope = Parameters<typeof RawWebSocket.connect>[0] & Parameters<typeof startServer>[0];

/** A hub whose server subscribes everybody to the topics named in the path, such as `/a,b`. */
async function startHub(
  t: Scope,
  options: HubOptions = {},
  more: Parameters<typeof startServer>[1] = {},
): Promise<TestServer & { hub: WebSocketHub }> {
  const hub = new WebSocketHub(options);
  const started = await startServer(
    t,
    {
      onUpgrade: ({ path }) => ({ context: path.slice(1).split(',') }),
      onOpen(socket) {
        for (const topic of socket.context as string[]) hub.subscribe(socket, topic);
      },
      ...more,
      hub,
    },
    { writeQueueMax: 400_000, writeTimeoutMs: 0 },
  );
  return { ...started, hub };
}

function join(t: Scope, url: string, topics: string): Promise<RawWebSocket> {
  return RawWebSocket.open(t, url, {}, `GET /${topics} HTTP/1.1`);
}

test('subscribers get what is published, once, in order, as text or binary', async (t) => {
  const { url, hub, sockets } = await startHub(t);
  const [a, b, both] = [
    await join(t, url, 'a'),
    await join(t, url, 'b'),
    await join(t, url, 'a,b'),
  ];
  hub.publish('a', 'one');
  hub.publish('b', Buffer.from('two'));
  hub.publish('nobody', 'three');
  hub.publish('a', Buffer.from('four'), { isBinary: false, except: sockets[0]! });
  hub.publish('a', 'x'.repeat(70_000));
  assert.deepEqual(await a.lines(2), ['text one', 'text 70000 B']);
  assert.deepEqual(await b.lines(1), ['binary two']);
  assert.deepEqual(await both.lines(4), ['text one', 'binary two', 'text four', 'text 70000 B']);
  assert.equal(hub.subscriberCount('a'), 2);
  const { topics, subscriptions, published, delivered } = hub.stats;
  assert.deepEqual(
    { topics, subscriptions, published, delivered },
    { topics: 2, subscriptions: 4, published: 5, delivered: 7 },
  );
  assert.equal(hub.topicStats('b')?.delivered, 2);
});

test('unsubscribing and closing end it, and empty topics are gone', async (t) => {
  const { url, hub, sockets, closes } = await startHub(t);
  const one = await join(t, url, 'a,b');
  const two = await join(t, url, 'a');
  assert.equal(hub.subscribe(sockets[0]!, 'a'), true, 'again: nothing changes');
  assert.equal(hub.stats.subscriptions, 3);
  assert.equal(hub.unsubscribe(sockets[0]!, 'a'), true);
  assert.equal(hub.unsubscribe(sockets[0]!, 'a'), false);
  assert.equal(hub.unsubscribe(sockets[0]!, 'unheard of'), false);
  hub.publish('a', 'for two');
  hub.publish('b', 'for one');
  assert.equal(await two.line(), 'text for two');
  assert.equal(await one.line(), 'text for one');
  await two.close();
  one.client.socket.resetAndDestroy();
  await awaitCondition(() => closes.length === 2, 'both closes');
  assert.equal(hub.subscribe(sockets[0]!, 'a'), false, 'it is closed');
  const { topics, subscriptions } = hub.stats;
  assert.deepEqual({ topics, subscriptions }, { topics: 0, subscriptions: 0 });
});

test('within a message of fragments nothing is published, and that is counted', async (t) => {
  const { url, hub, sockets } = await startHub(t);
  const peer = await join(t, url, 'a');
  sockets[0]!.sendFragment('one', false);
  hub.publish('a', 'not now');
  assert.equal(hub.stats.droppedNew, 1);
  sockets[0]!.sendFragment('two', true);
  hub.publish('a', 'now');
  assert.deepEqual(await peer.lines(3), ['text+ one', 'continuation two', 'text now']);
});

test('limits, wrong topics and foreign sockets', async (t) => {
  const { url, wsUrl, hub, sockets } = await startHub(t, { topicsMax: 2, subscriptionsMax: 1 });
  await join(t, url, 'a');
  await join(t, url, 'b');
  await join(t, url, 'c');
  const [one, , three] = sockets as WebSocket[];
  assert.equal(hub.subscribe(one!, 'b'), false, 'one subscription each');
  assert.equal(hub.subscribe(three!, 'c'), false, 'two topics in all');
  assert.equal(hub.subscribe(three!, 'a'), true);
  assert.throws(() => hub.subscribe(one!, ''), TypeError);
  assert.throws(() => hub.publish('x'.repeat(257), 'a'), TypeError);
  assert.throws(() => hub.publish('a', 5 as never), TypeError);
  assert.throws(() => hub.publish('a', Buffer.alloc(16 * 1024 * 1024)), RangeError);
  assert.throws(() => new WebSocketHub({ whenSlow: 'wait' as 'queue' }), TypeError);
  const client = await connectWebSocket(dial, `${wsUrl}/x`);
  assert.throws(() => hub.subscribe(client, 'a'), /of a server/);
  client.abort();
});

/** Publishes numbered messages of 20 kB to one that does not read and one that does, and then lets it read. */
async function publishToSlow(t: Scope, options: HubOptions, count: number) {
  const started = await startHub(t, options);
  const slow = await join(t, started.url, 'news');
  const fast = await join(t, started.url, 'news');
  slow.client.socket.pause();
  for (let i = 0; i < count; i += 1) {
    started.hub.publish('news', `${i} `.padEnd(20_000, '.'));
    const { payload } = (await fast.frame())!;
    assert.equal(Number.parseInt(payload.toString(), 10), i, 'the fast one gets all, at once');
  }
  const { delivered: _delivered, ...counts } = started.hub.stats;
  slow.client.socket.resume();
  return { ...started, slow, counts };
}

/** Numbers of the messages up to one that is published last. */
async function numbersUntil(peer: RawWebSocket, end: number): Promise<number[]> {
  const numbers: number[] = [];
  while (numbers.at(-1) !== end) {
    const next = await peer.frame();
    assert.equal(next?.opcode, OP.TEXT);
    numbers.push(Number.parseInt(next!.payload.toString(), 10));
  }
  return numbers;
}

const COUNT = 400;

test('a slow subscriber, drop-new: misses the newest, and is not late afterwards', async (t) => {
  const { hub, slow, counts, sockets } = await publishToSlow(t, { whenSlow: 'drop-new' }, COUNT);
  assert.ok(counts.droppedNew > 0);
  await awaitCondition(() => sockets[0]!.queuedBytes === 0, 'the queue of the slow one to empty');
  hub.publish('news', '1000');
  const numbers = await numbersUntil(slow, 1_000);
  const kept = COUNT - counts.droppedNew;
  assert.deepEqual(numbers, [...Array.from({ length: kept }, (_, i) => i), 1_000]);
});

test('a slow subscriber, drop-old: gets the newest when it reads again', async (t) => {
  const options = { whenSlow: 'drop-old' as const, keepMax: 3 };
  const { slow, counts } = await publishToSlow(t, options, COUNT);
  assert.ok(counts.droppedOld > 0);
  const numbers = await numbersUntil(slow, COUNT - 1);
  assert.deepEqual(numbers.slice(-3), [COUNT - 3, COUNT - 2, COUNT - 1]);
  assert.equal(numbers.length, COUNT - counts.droppedOld);
  assert.deepEqual(
    numbers,
    [...numbers].sort((a, b) => a - b),
  );
});

test('a slow subscriber, queue: gets what fits, whole messages only', async (t) => {
  const { hub, slow, counts, sockets } = await publishToSlow(t, {}, COUNT);
  assert.ok(counts.droppedFull > 0);
  await awaitCondition(() => sockets[0]!.queuedBytes === 0, 'the queue of the slow one to empty');
  hub.publish('news', '1000');
  const numbers = await numbersUntil(slow, 1_000);
  assert.equal(numbers.length, COUNT - counts.droppedFull + 1);
});

test('a slow subscriber, close: is closed with 1008', async (t) => {
  const { slow, counts, closes } = await publishToSlow(t, { whenSlow: 'close' }, COUNT);
  assert.equal(counts.closedSlow, 1);
  let line = '';
  while (!line.startsWith('close')) line = await slow.line();
  assert.equal(line, 'close 1008 too slow');
  slow.client.socket.end();
  await awaitCondition(() => closes.length === 1, 'onClose');
});

test('a policy for each topic', async (t) => {
  const topic = (name: string) =>
    name === 'b' ? { whenSlow: 'close' as const, backlogBytes: 10 } : undefined;
  const { url, hub, sockets } = await startHub(t, { whenSlow: 'drop-new', topic });
  const peer = await join(t, url, 'a,b');
  peer.client.socket.pause();
  while (sockets[0]!.queuedBytes <= 70_000) sockets[0]!.send(Buffer.alloc(60_000));
  hub.publish('a', 'x');
  assert.equal(hub.stats.droppedNew, 1);
  hub.publish('b', 'x');
  assert.equal(hub.stats.closedSlow, 1);
  assert.equal(sockets[0]!.state, 'closing');
});

test('compressed once for those who agreed on it, plain for the others', async (t) => {
  const { wsUrl, url, hub } = await startHub(t, {}, { deflate: { thresholdBytes: 10 } });
  const own = await startHub(t, {}, { deflate: { thresholdBytes: 10, contexts: 'own' } });
  const text = 'again and again and again and again';
  for (const [address, target] of [
    [wsUrl, hub],
    [own.wsUrl, own.hub],
  ] as const) {
    const client = new WsClient(`${address}/a`, { perMessageDeflate: true });
    await once(client, 'open');
    const received: string[] = [];
    client.on('message', (data: Buffer) => received.push(data.toString()));
    for (let i = 0; i < 3; i += 1) target.publish('a', text);
    await awaitCondition(() => received.length === 3, 'the messages');
    assert.deepEqual(received, [text, text, text]);
    client.terminate();
  }
  const plain = await join(t, url, 'a');
  hub.publish('a', text);
  assert.equal(await plain.line(), `text ${text}`);
});

test('across reactors: everybody gets it once, and other messages are left to the program', async (t) => {
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    handler: new URL('./support/hub-handler.js', import.meta.url),
    reactors: 2,
    balance: 'round-robin',
  });
  t.after(() => server.close({ deadlineMs: 0 }));
  const peers: RawWebSocket[] = [];
  const reactors = new Set<string>();
  for (let i = 0; i < 6; i += 1) {
    const peer = await RawWebSocket.open(t, server.addresses[0]!);
    peer.send(OP.TEXT, '+news');
    const answer = /^text \+news true (\d)$/.exec(await peer.line());
    reactors.add(answer![1]!);
    peers.push(peer);
  }
  assert.deepEqual([...reactors].sort(), ['0', '1']);
  peers[0]!.send(OP.TEXT, 'news first');
  for (const peer of peers.slice(1)) assert.equal(await peer.line(), 'text first');
  peers[5]!.send(OP.TEXT, `news ${'x'.repeat(100_000)}`);
  for (const peer of peers.slice(0, 5)) assert.equal(await peer.line(), 'text 100000 B');
  // The thread that called serve has no hub, and publishes all the same.
  assert.equal(server.broadcast(encodePublication('news', 'from outside')), true);
  for (const peer of peers) assert.equal(await peer.line(), 'text from outside');
  await server.execute(0, 'post');
  type Answer = (HubStats & { own: number })[];
  const stats = await untilAnswer(
    'both reactors got the message of the program',
    () => server.executeAll('stats') as Promise<Answer>,
    (answer) => answer.every(({ own }) => own === 1),
  );
  const sum = (what: 'delivered' | 'published' | 'subscriptions') =>
    stats.reduce((total, one) => total + one[what], 0);
  assert.deepEqual([sum('published'), sum('delivered'), sum('subscriptions')], [2, 16, 6]);
});

test('two servers of one thread may share a hub, also after one that could not start', async (t) => {
  const hub = new WebSocketHub();
  const options = { hub, onOpen: (socket: WebSocket) => void hub.subscribe(socket, 'all') };
  const one = await startServer(t, options);
  await assert.rejects(startServer(t, options, { listen: one.url }), { code: 'EADDRINUSE' });
  const two = await startServer(t, options);
  const peers = [await RawWebSocket.open(t, one.url), await RawWebSocket.open(t, two.url)];
  hub.publish('all', 'both');
  for (const peer of peers) assert.equal(await peer.line(), 'text both');
  peers[1]!.client.socket.end();
  await two.server.close({ deadlineMs: 0 });
  hub.publish('all', 'one');
  assert.equal(await peers[0]!.line(), 'text one');
  assert.equal(hub.stats.subscriptions, 1);
});

test('what another reactor has no room for is told and counted', () => {
  const hub = new WebSocketHub();
  const posted: number[] = [];
  const post = (index: number) => {
    posted.push(index);
    return index !== 2;
  };
  hub.join({ index: 1, count: 4, post } as unknown as Reactor);
  assert.equal(hub.publish('a', 'b'), false);
  assert.deepEqual(posted, [0, 2, 3]);
  assert.equal(hub.stats.postsLost, 1);
});

test('a publication survives its way between threads; other messages are none', () => {
  for (const size of [0, 125, 126, 65_535, 65_536]) {
    const letter = encodePublication('tópic', Buffer.alloc(size, 'a'));
    const { topic, payload, frame, first } = decodePublication(letter)!;
    assert.deepEqual([topic, payload.length, first], ['tópic', size, 0x82]);
    assert.equal(frame.length - payload.length, size < 126 ? 2 : size < 65_536 ? 4 : 10);
  }
  for (const hex of [
    '',
    '006d7250',
    '006d725000ff00000000000000',
    '006d72500001ffff00000000',
    'ffffffffffffffffffffffff',
  ]) {
    assert.equal(decodePublication(Buffer.from(hex, 'hex')), undefined, hex);
  }
});
