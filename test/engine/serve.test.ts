/** `serve` with one reactor in this thread: starting, failing to start, calls, and closing. */

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';

import type { Connection, Handler, ServeOptions, Server } from '../../src/api.js';
import { serve } from '../../src/engine/serve.js';
import type { MillraceError, SystemError } from '../../src/errors.js';
import { awaitCondition, settled } from '../support/await-condition.js';
import { descriptorCounts } from '../support/open-descriptors.js';
import { RawListener, RawPeer } from '../support/raw-peer.js';

const servers: Server[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) {
    await server.close({ deadlineMs: 0 });
  }
});

async function open(handler: Handler = {}, options: Partial<ServeOptions> = {}): Promise<Server> {
  const server = await serve({ listen: 'tcp://127.0.0.1:0', handler, ...options });
  servers.push(server);
  return server;
}

describe('serve()', () => {
  it('listens on all addresses, with real ports, and has booted before', async () => {
    const events: string[] = [];
    const server = await open(
      { onBoot: async () => void events.push('boot') },
      { listen: ['tcp://127.0.0.1:0', 'tcp6://[::1]:0', `unix-abstract://serve-${process.pid}`] },
    );
    assert.deepEqual(events, ['boot']);
    assert.equal(server.addresses.length, 3);
    for (const url of server.addresses) {
      assert.ok(!url.endsWith(':0'));
      (await RawPeer.connect(url)).close();
    }
    assert.equal(server.reactorCount, 1);
    assert.match(server.driver, /^(epoll|uring)$/);
  });

  it('rejects for wrong options, and for what the system refuses, and leaves nothing behind', async () => {
    await (await open()).close();
    const before = descriptorCounts();
    const taken = RawListener.listen('tcp://127.0.0.1:0');
    const fails = (options: unknown, expected: object) =>
      assert.rejects(open({}, options as Partial<ServeOptions>), expected);
    await assert.rejects(serve(undefined as unknown as ServeOptions), TypeError);
    await fails({ listen: 'nonsense' }, TypeError);
    await fails({ handler: undefined }, TypeError);
    await fails({ handler: { onOpen: 5 } }, TypeError);
    await fails({ idleTimeoutMs: -1 }, RangeError);
    await fails({ noDelay: 'yes' }, TypeError);
    await fails({ handler: 'data:text/javascript,1' }, { code: 'ERR_HANDLER_MODULE' });
    await fails({ listen: ['tcp://127.0.0.1:0', taken.url] }, { code: 'EADDRINUSE' });
    const thrown = new Error('no boot');
    await fails({ handler: { onBoot: () => Promise.reject(thrown) } }, thrown);
    taken.close();
    assert.deepEqual(descriptorCounts(), before);
  });

  it('runs the handler of a module, made from data', async () => {
    const code =
      'export default (data) => ({ onOpen: (connection) => void connection.write(data.hello) })';
    const server = await serve({
      listen: 'tcp://127.0.0.1:0',
      handler: `data:text/javascript,${encodeURIComponent(code)}`,
      data: { hello: 'from a module' },
    });
    servers.push(server);
    const peer = await RawPeer.connect(server.addresses[0]);
    assert.equal((await peer.read(13)).toString(), 'from a module');
    peer.close();
  });

  it('with an aborted signal does not start, and closes when it is aborted later', async () => {
    const reason = new Error('not today');
    await assert.rejects(open({}, { signal: AbortSignal.abort(reason) }), reason);
    const controller = new AbortController();
    const server = await open({}, { signal: controller.signal });
    controller.abort();
    await settled(server.closed, 'the close');
  });
});

describe('execute()', () => {
  const tasks = {
    add: (_reactor: unknown, value: number) => value + 1,
    same: (_reactor: unknown, value: object) => value,
    slow: async () => 'slow',
    fail: () => {
      throw new RangeError('as told');
    },
  } as unknown as NonNullable<Handler['tasks']>;

  it('runs tasks by name, with clones as between threads', async () => {
    const server = await open({ tasks });
    assert.equal(await server.execute(0, 'add', 1), 2);
    assert.equal(await server.execute(0, 'slow'), 'slow');
    assert.deepEqual(await server.executeAll('add', 4), [5]);
    const value = { a: [1] };
    const answer = await server.execute(0, 'same', value);
    assert.deepEqual(answer, value);
    assert.notEqual(answer, value);
  });

  it('rejects for tasks and reactors that there are not, and for what a task throws', async () => {
    const server = await open({ tasks });
    for (const name of ['none', 'toString', '__proto__', 'constructor']) {
      await assert.rejects(server.execute(0, name), { code: 'ERR_NO_TASK' }, name);
    }
    await assert.rejects(server.execute(1, 'add', 1), RangeError);
    await assert.rejects(server.execute(0, 'fail'), RangeError);
    await assert.rejects(
      server.execute(0, 'same', () => {}),
      { name: 'DataCloneError' },
    );
    await server.close();
    await assert.rejects(
      server.execute(0, 'add', 1),
      (error: MillraceError) => error.code === 'ERR_CLOSED',
    );
  });
});

describe('mail', () => {
  it('to the server’s own reactor is from -1, from the reactor itself from 0', async () => {
    const messages: string[] = [];
    const server = await open({
      onMessage(reactor, bytes, from) {
        messages.push(`${bytes} from ${from}`);
        if (from === -1) {
          reactor.post(0, Buffer.from('again'));
        }
      },
    });
    assert.equal(server.post(0, Buffer.from('post')), true);
    await awaitCondition(() => messages.length === 2, 'the messages');
    assert.deepEqual(messages, ['post from -1', 'again from 0']);
    assert.throws(() => server.post(1, Buffer.from('x')), RangeError);
    await server.close();
    assert.equal(server.broadcast(Buffer.from('late')), false);
  });

  it('to a connection says what became of it', async () => {
    let id = -1;
    const server = await open({
      onOpen(connection) {
        id = connection.id;
      },
    });
    const peer = await RawPeer.connect(server.addresses[0]);
    await awaitCondition(() => id >= 0, 'the connection');
    // By the driver: at once, or with the turn's submissions.
    assert.match(server.write(id, Buffer.from('hello')), /^(sent|queued)$/);
    assert.equal((await peer.read(5)).toString(), 'hello');
    assert.equal(server.write(id + 1, Buffer.from('x')), 'closed');
    peer.reset();
    await awaitCondition(() => server.stats.totals.closed === 1, 'the close');
    assert.equal(server.write(id, Buffer.from('x')), 'closed');
  });
});

describe('close()', () => {
  it('may be called twice, resolves closed, and runs onShutdown once, last', async () => {
    const events: string[] = [];
    const server = await open({
      onClose: () => void events.push('close'),
      onShutdown: async () => void events.push('shutdown'),
    });
    const peer = await RawPeer.connect(server.addresses[0]);
    await awaitCondition(() => server.stats.totals.connections === 1, 'a connection');
    const closing = [
      server.close(),
      server.close({ deadlineMs: 0 }),
      server[Symbol.asyncDispose](),
    ];
    await settled(Promise.all([...closing, server.closed]), 'the close');
    assert.deepEqual(events, ['close', 'shutdown']);
    await server.close();
    await assert.rejects(
      RawPeer.connect(server.addresses[0]),
      ({ code }: SystemError) => code === 'ECONNREFUSED',
    );
    peer.close();
  });

  it('leaves connections whose receipts still come, and are told when they throw', async () => {
    const connections: Connection[] = [];
    const warnings: string[] = [];
    const server = await open(
      { onOpen: (connection) => void connections.push(connection) },
      { onWarning: ({ message }) => void warnings.push(message) },
    );
    const peer = await RawPeer.connect(server.addresses[0]);
    await awaitCondition(() => connections.length === 1, 'a connection');
    await server.close({ deadlineMs: 0 });
    const receipt = new Promise((resolve) => connections[0].receipt(resolve));
    connections[0].receipt(() => {
      throw new Error('as told');
    });
    assert.equal(await settled(receipt, 'the receipt', 5_000), false);
    await awaitCondition(() => warnings.length > 0, 'the warning');
    assert.deepEqual(warnings, ['as told']);
    peer.close();
  });

  it('is what the action shutdown does', async () => {
    const server = await open({ onOpen: () => 'shutdown' });
    const peer = await RawPeer.connect(server.addresses[0]);
    peer.end();
    await settled(server.closed, 'the close');
    peer.close();
  });

  it('tells an error of onShutdown and blocks that were kept as warnings', async () => {
    const warnings: string[] = [];
    const server = await open(
      {
        onReadable: ({ reader }) => void reader.slice(1),
        onShutdown() {
          throw new Error('as told');
        },
      },
      { onWarning: ({ message }) => void warnings.push(message) },
    );
    const peer = await RawPeer.connect(server.addresses[0]);
    peer.send('x');
    await awaitCondition(() => server.stats.totals.bytesReceived === 1, 'the byte');
    await server.close({ deadlineMs: 0 });
    assert.deepEqual(warnings, ['as told', '1 blocks were not released: a slice was kept']);
    peer.close();
  });
});
