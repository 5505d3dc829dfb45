/** Frames over real sockets, with peers that send as they like. */

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';

import {
  type Codec,
  delimited,
  encodeFrame,
  type FramedConnection,
  type FramedHandler,
  type FramedHooks,
  framed,
  jsonCodec,
  lengthField,
  lines,
  varintLength,
} from '../../src/codec/index.js';
import { type CloseReason, dial, type ServeOptions, type Server, serve } from '../../src/index.js';
import { awaitCondition, rounds } from '../support/await-condition.js';
import { NetClient } from '../support/net-client.js';

const servers: Server[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close({ deadlineMs: 0 })));
});

interface Rig<Out> {
  readonly server: Server;
  readonly handler: FramedHandler<Out>;
  readonly url: string;
  readonly reasons: CloseReason[];
  readonly warnings: Error[];
}

async function start<In, Out>(
  codec: Codec<In, Out>,
  hooks: FramedHooks<In, Out>,
  options: Partial<ServeOptions> = {},
): Promise<Rig<Out>> {
  const reasons: CloseReason[] = [];
  const warnings: Error[] = [];
  const handler = framed(codec, {
    ...hooks,
    onClose(connection, reason) {
      reasons.push(reason);
      return hooks.onClose?.(connection, reason);
    },
  });
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    handler,
    onWarning: (warning) => warnings.push(warning),
    ...options,
  });
  servers.push(server);
  return { server, handler, url: server.addresses[0]!, reasons, warnings };
}

const ECHO = {
  onFrame(connection: FramedConnection<Uint8Array | string>, frame: Buffer) {
    connection.send(frame);
  },
};

describe('frames', () => {
  for (const [name, codec] of [
    ['length field', lengthField()],
    ['varint', varintLength()],
    ['delimiter', delimited('\r\n')],
  ] as const) {
    it(`${name}: many in one write, one in many writes, and large ones come back`, async (t) => {
      const { url, handler } = await start(codec, ECHO);
      const client = await NetClient.connect(t, url);
      client.socket.setNoDelay(true);
      const small = Buffer.concat(
        Array.from({ length: 500 }, (_, i) => encodeFrame(codec, `frame ${i}`)),
      );
      const large = encodeFrame(codec, Buffer.alloc(1_000_000, 'ab'));
      client.write(small);
      for (const byte of encodeFrame(codec, 'byte by byte')) {
        client.write(Uint8Array.of(byte));
        await rounds(1);
      }
      client.write(large);
      const expected = Buffer.concat([small, encodeFrame(codec, 'byte by byte'), large]);
      await awaitCondition(() => client.received.byteLength >= expected.byteLength, 'the echo');
      assert.ok(client.received.equals(expected));
      assert.equal(handler.frameStats.framesReceived, 502);
      assert.equal(handler.frameStats.framesSent, 502);
    });
  }

  it('are messages with types, to and from a dial', async () => {
    const codec = jsonCodec<{ n: number }>(lines());
    const { url } = await start(codec, {
      onFrame: (connection, { n }) => void connection.send({ n: n + 1 }),
    });
    const got: number[] = [];
    const handler = framed<{ n: number }, { n: number }, { greeting: string }>(codec, {
      onFrame(connection, { n }) {
        assert.equal(connection.context.greeting, 'hello');
        got.push(n);
        if (n === 3) {
          return 'close';
        }
        connection.send({ n: n + 1 });
        return 'none';
      },
    });
    const connection = await dial(url, { handler, context: { greeting: 'hello' } });
    assert.equal(handler.of(connection).send({ n: 0 }), 'sent');
    await connection.closed();
    assert.deepEqual(got, [1, 3]);
    assert.equal(handler.of(connection).send({ n: 9 }), 'closed');
    const plain = await dial(url);
    assert.throws(() => handler.of(plain), TypeError);
    plain.abort();
  });

  it('leave nothing behind when they are whole; what has begun is kept', async (t) => {
    const seen: FramedConnection<Uint8Array | string>[] = [];
    const { url } = await start(lengthField(), { ...ECHO, onOpen: (c) => void seen.push(c) });
    const client = await NetClient.connect(t, url);
    client.write(Buffer.concat([encodeFrame(lengthField(), 'abc'), Buffer.of(0, 0, 0, 9, 1)]));
    await client.receives('abc');
    assert.equal(seen[0]!.keptBytes, 5);
    client.write(Buffer.of(2, 3, 4, 5, 6, 7, 8, 9));
    await awaitCondition(() => client.received.byteLength === 20, 'both frames');
    assert.equal(seen[0]!.keptBytes, 0);
  });
});

describe('a pause', () => {
  it('keeps the frames that have come already, and the end behind them, for resume', async (t) => {
    const events: string[] = [];
    let paused: FramedConnection<string> | undefined;
    const { url } = await start(lines(), {
      onFrame(connection, line) {
        events.push(line);
        connection.pause();
        paused = connection;
      },
      onEnd: () => void events.push('end'),
    });
    const client = await NetClient.connect(t, url);
    client.socket.end('a\nb\nc\nd\n');
    for (const count of [1, 2, 3, 4]) {
      await awaitCondition(() => events.length >= count, `frame ${count}`);
      await rounds(20);
      assert.equal(events.length, count);
      paused!.resume();
    }
    await client.closes();
    assert.deepEqual(events, ['a', 'b', 'c', 'd', 'end']);
  });

  it('from outside of a hook holds all that comes', async (t) => {
    const lineList: string[] = [];
    const open: FramedConnection<string>[] = [];
    const { url, server } = await start(lines(), {
      onOpen: (connection) => void open.push(connection),
      onFrame: (_connection, line) => void lineList.push(line),
    });
    const client = await NetClient.connect(t, url);
    await awaitCondition(() => open.length === 1, 'the connection');
    open[0]!.pause();
    client.write('x\ny\n');
    await rounds(20);
    assert.deepEqual(lineList, []);
    open[0]!.resume();
    await awaitCondition(() => lineList.length === 2, 'the lines');
    assert.equal(server.stats.totals.connections, 1);
  });
});

describe('bad frames', () => {
  it('close the connection with the reason, after what was sent before', async (t) => {
    const { url, handler, reasons, warnings } = await start(lines({ maxFrameBytes: 8 }), {
      onFrame: (connection, line) => void connection.send(line),
      onFrameError: (connection) => void connection.send('bye'),
    });
    const client = await NetClient.connect(t, url);
    client.write('good\nfar too long\nmore\n');
    await client.ends();
    client.socket.end();
    await client.closes();
    assert.equal(client.text, 'good\nbye\n');
    assert.equal(client.errorCode, '');
    await awaitCondition(() => reasons.length === 1, 'the close');
    assert.equal(reasons[0]!.code, 'error');
    assert.equal((reasons[0]!.error as NodeJS.ErrnoException).code, 'ERR_FRAME_TOO_LONG');
    assert.deepEqual(handler.frameStats, {
      framesReceived: 1,
      framesSent: 2,
      framesTooLong: 1,
      framesCorrupt: 0,
      framesTruncated: 0,
      framesUndecodable: 0,
      framesSkipped: 0,
    });
    assert.deepEqual(warnings, []);
  });

  it('are passed over where the hook says so', async (t) => {
    const { url, handler } = await start(jsonCodec<number>(lengthField({ maxFrameBytes: 64 })), {
      onFrame: (connection, n) => void connection.send(n),
      onFrameError: () => 'skip',
    });
    const frame = (text: string) => encodeFrame(lengthField(), text);
    const client = await NetClient.connect(t, url);
    client.write(Buffer.concat([frame('1'), frame('x'.repeat(5_000)), frame('{'), frame('2')]));
    await awaitCondition(() => client.received.byteLength === 10, 'two answers');
    assert.deepEqual(client.received, Buffer.concat([frame('1'), frame('2')]));
    assert.equal(handler.frameStats.framesTooLong, 1);
    assert.equal(handler.frameStats.framesUndecodable, 1);
    assert.equal(handler.frameStats.framesSkipped, 2);
  });

  it('that are corrupt cannot be passed over', async (t) => {
    const { url, handler } = await start(varintLength(), { ...ECHO, onFrameError: () => 'skip' });
    const client = await NetClient.connect(t, url);
    client.write(Buffer.from('ffffffffff01aa', 'hex'));
    await client.ends();
    assert.equal(handler.frameStats.framesCorrupt, 1);
    assert.equal(handler.frameStats.framesSkipped, 0);
  });

  it('that the end cuts off are counted, and the end is told', async (t) => {
    const events: string[] = [];
    const { url, reasons } = await start(lengthField(), {
      onFrame: (_connection, frame) => void events.push(`frame ${frame}`),
      onFrameError: (_connection, { code }) => void events.push(code),
      onEnd: () => void events.push('end'),
    });
    const client = await NetClient.connect(t, url);
    client.socket.end(Buffer.concat([encodeFrame(lengthField(), 'a'), Buffer.of(0, 0)]));
    await client.closes();
    await awaitCondition(() => reasons.length === 1, 'the close');
    assert.deepEqual(events, ['frame a', 'ERR_FRAME_TRUNCATED', 'end']);
  });
});

describe('hooks', () => {
  it('one that throws costs its own connection', async (t) => {
    const { url, reasons, warnings } = await start(lines(), {
      onFrame(connection, line) {
        if (line === 'throw') {
          throw new Error('mine');
        }
        connection.send(line);
      },
    });
    const [bad, good] = [await NetClient.connect(t, url), await NetClient.connect(t, url)];
    bad.write('throw\nmore\n');
    await bad.closes();
    good.write('fine\n');
    await good.receives('fine');
    assert.equal(reasons[0]!.code, 'handler');
    assert.deepEqual(warnings.map(String), ['Error: mine']);
  });

  it('that return close get no further frame', async (t) => {
    const got: string[] = [];
    const { url, reasons } = await start(lines(), {
      onFrame(_connection, line) {
        got.push(line);
        return line === 'b' ? 'close' : 'none';
      },
    });
    const client = await NetClient.connect(t, url);
    client.write('a\nb\nc\n');
    await client.ends();
    client.socket.end();
    await awaitCondition(() => reasons.length === 1, 'the close');
    assert.deepEqual(got, ['a', 'b']);
    assert.equal(reasons[0]!.code, 'closed');
  });

  it('get no further frame after close or abort in the midst of them', async (t) => {
    for (const way of ['close', 'abort'] as const) {
      const got: string[] = [];
      const { url, reasons } = await start(lines(), {
        onFrame(connection, line) {
          got.push(line);
          connection[way]();
        },
      });
      const client = await NetClient.connect(t, url);
      client.write('a\nb\n');
      client.socket.end();
      await awaitCondition(() => reasons.length === 1, 'the close');
      assert.deepEqual(got, ['a']);
    }
  });

  it('may shut the server down', async (t) => {
    const { url, server } = await start(lines(), { onFrame: () => 'shutdown' });
    const client = await NetClient.connect(t, url);
    client.write('x\n');
    client.socket.on('end', () => client.socket.end());
    await server.closed;
  });

  it('all get the framed connection; tasks and those of the reactor come through', async (t) => {
    const events: string[] = [];
    const { url, server } = await start(
      lengthField(),
      {
        onBoot: () => void events.push('boot'),
        onShutdown: () => void events.push('shutdown'),
        onOpen(connection) {
          connection.context = 'mine';
        },
        onFrame(connection) {
          connection.cork();
          connection.send(Buffer.alloc(400_000));
          connection.send(Buffer.alloc(400_000));
          connection.uncork();
        },
        onBeforeWrite: ({ context }) => void events.push(`before ${context}`),
        onDrain: ({ context }) => void events.push(`drain ${context}`),
        onMessage: (_reactor, bytes) => void events.push(`message ${bytes}`),
        onTick: () => void events.push('tick'),
        tasks: { ping: () => 'pong' },
      },
      { sendBufferBytes: 8_192 },
    );
    const client = await NetClient.connect(t, url);
    client.write(encodeFrame(lengthField(), 'go'));
    await awaitCondition(() => client.received.byteLength === 800_008, 'the answer');
    await awaitCondition(() => events.includes('drain mine'), 'the drain');
    assert.ok(events.includes('before mine') && events.includes('tick'));
    server.post(0, Buffer.from('hi'));
    await awaitCondition(() => events.includes('message hi'), 'the message');
    assert.equal(await server.execute(0, 'ping'), 'pong');
    const stats = (await server.execute(0, 'frameStats')) as { framesSent: number };
    assert.equal(stats.framesSent, 2);
    await server.close({ deadlineMs: 0 });
    assert.equal(events.at(0), 'boot');
    assert.equal(events.at(-1), 'shutdown');
  });

  it('wrong arguments are told of', () => {
    assert.throws(() => framed({} as never, { onFrame() {} }), TypeError);
    assert.throws(() => framed(lines(), {} as never), TypeError);
  });
});
