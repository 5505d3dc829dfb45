/**
 * Handlers that throw, and handlers that block: the first cost their own connection, the second their own reactor, and
 * that one is named, and replaced where it is wished.
 */

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';

import { type ServeOptions, type Server, serve } from '../../src/index.js';
import { awaitCondition, rounds, settled } from '../support/await-condition.js';
import type {
  OffenderData,
  OffenderReport,
  OffendingHook,
} from '../support/engine-handlers/offender.js';
import { RawPeer } from '../support/raw-peer.js';

const MODULE = new URL('../support/engine-handlers/offender.js', import.meta.url);

const servers: Server[] = [];
const peers: RawPeer[] = [];

afterEach(async () => {
  for (const peer of peers.splice(0)) {
    peer.close();
  }
  await Promise.all(servers.splice(0).map((server) => server.close({ deadlineMs: 0 })));
});

interface World {
  readonly server: Server;
  readonly url: string;
  readonly warnings: (Error & { code?: string })[];
}

async function createWorld(data: OffenderData, options: Partial<ServeOptions>): Promise<World> {
  const warnings: Error[] = [];
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    handler: MODULE,
    data,
    onWarning: (warning) => warnings.push(warning),
    ...options,
  });
  servers.push(server);
  return { server, url: server.addresses[0]!, warnings };
}

async function connect(url: string, localAddress = 'tcp://127.0.0.1:0'): Promise<RawPeer> {
  const peer = await RawPeer.connect(url, { localAddress });
  peers.push(peer);
  return peer;
}

/** The index of the reactor that has this peer's connection. */
async function reactorOf(peer: RawPeer): Promise<number> {
  peer.send('who');
  return Number((await peer.read(1)).toString());
}

const HOOKS: readonly OffendingHook[] = [
  'onOpen',
  'onData',
  'onReadable',
  'onDrain',
  'onEnd',
  'onClose',
  'onBeforeWrite',
  'timer',
];

/** Makes one connection offend. */
async function offend(url: string, hook: OffendingHook): Promise<string> {
  const offender = await connect(url, 'tcp://127.0.0.2:0');
  if (hook !== 'onOpen') {
    offender.send('offend');
  }
  if (hook === 'onEnd') {
    offender.end();
  }
  return (await offender.readToEnd()).end;
}

for (const reactors of [1, 3]) {
  describe(`a hook that throws, ${reactors} reactor(s)`, () => {
    for (const hook of HOOKS) {
      it(`${hook} costs its own connection only`, async () => {
        const { server, url, warnings } = await createWorld(
          { hook },
          { reactors, highWaterMark: 1_000, lowWaterMark: 1_000 },
        );
        const bystanders: RawPeer[] = [];
        for (let i = 0; i < 6; i += 1) {
          bystanders.push(await connect(url));
        }
        const offenders = 3;
        for (let i = 0; i < offenders; i += 1) {
          // An error that onClose throws comes too late to change how the connection ends.
          assert.equal(await offend(url, hook), hook === 'onClose' ? 'end' : 'ECONNRESET');
          peers.at(-1)!.close();
        }
        await awaitCondition(() => server.stats.totals.closed === offenders, 'the closes');
        await awaitCondition(() => warnings.length === offenders, 'the warnings');
        const reports = (await server.executeAll('report')) as OffenderReport[];
        const expected =
          hook === 'onClose'
            ? { code: 'closed', message: undefined, isSame: false }
            : { code: 'handler', message: `as told in ${hook}`, isSame: true };
        assert.deepEqual(
          reports.flatMap(({ reasons }) => reasons),
          new Array(offenders).fill(expected),
        );
        assert.ok(warnings.every(({ message }) => message === `as told in ${hook}`));
        assert.equal(server.stats.totals.handlerErrors, offenders);
        for (const bystander of bystanders) {
          await reactorOf(bystander);
        }
      });
    }
  });
}

describe('other code of the user that throws', () => {
  it('ticks, messages, tasks, timers and onShutdown are told, and the reactor goes on', async () => {
    const warnings: string[] = [];
    const fail = (name: string) => () => {
      throw new Error(name);
    };
    const server = await serve({
      listen: 'tcp://127.0.0.1:0',
      onWarning: ({ message }) => warnings.push(message),
      handler: {
        onBoot(reactor) {
          reactor.execute(fail('task'));
          reactor.setTimer(0, fail('timer'));
        },
        onTick: fail('tick'),
        onMessage: fail('message'),
        onShutdown: fail('shutdown'),
        onData: (connection, bytes) => {
          connection.receipt(fail('receipt'));
          connection.writeOwned(Buffer.from(bytes), fail('free'));
        },
      },
    });
    servers.push(server);
    server.post(0, Buffer.from('x'));
    const peer = await connect(server.addresses[0]!);
    peer.send('ping');
    assert.equal((await peer.read(4)).toString(), 'ping');
    peer.close();
    await awaitCondition(() => server.stats.totals.closed === 1, 'the close');
    await server.close();
    assert.deepEqual(warnings.sort(), [
      'free',
      'message',
      'receipt',
      'shutdown',
      'task',
      'tick',
      'timer',
    ]);
  });

  it('what is thrown need not be an error', async () => {
    const messages: string[] = [];
    const server = await serve({
      listen: 'tcp://127.0.0.1:0',
      onWarning: ({ message }) => messages.push(message),
      handler: {
        onData() {
          throw 'just a text';
        },
        onClose: (_connection, { error }) => void messages.push(error!.message),
      },
    });
    servers.push(server);
    const peer = await connect(server.addresses[0]!);
    peer.send('x');
    assert.equal((await peer.readToEnd()).end, 'ECONNRESET');
    await awaitCondition(() => messages.length === 2, 'both words');
    assert.ok(messages.every((message) => message.includes('just a text')));
  });

  it('a listener for warnings that throws does not take the reactor along', async () => {
    const uncaught: string[] = [];
    const server = await serve({
      listen: 'tcp://127.0.0.1:0',
      onWarning() {
        throw new Error('in onWarning');
      },
      handler: {
        onData(connection, bytes) {
          if (bytes.toString() === 'throw') {
            throw new Error('in onData');
          }
          connection.write(bytes);
        },
        onClose: (_connection, { code }) => void uncaught.push(code),
      },
    });
    servers.push(server);
    const peer = await connect(server.addresses[0]!);
    const other = await connect(server.addresses[0]!);
    const onUncaught = ({ message }: Error) => void uncaught.push(message);
    process.setUncaughtExceptionCaptureCallback(onUncaught);
    try {
      peer.send('throw');
      assert.equal((await peer.readToEnd()).end, 'ECONNRESET');
      await awaitCondition(() => uncaught.length === 2, 'the error of the listener, and the close');
      assert.deepEqual(uncaught.sort(), ['handler', 'in onWarning']);
    } finally {
      process.setUncaughtExceptionCaptureCallback(null);
    }
    other.send('ping');
    assert.equal((await other.read(4)).toString(), 'ping');
    assert.equal(server.stats.totals.connections, 1);
  });
});

describe('a hook that blocks its reactor', () => {
  /** One peer for each of three reactors, by its index. */
  async function onePeerEach(url: string): Promise<RawPeer[]> {
    const found: RawPeer[] = [];
    await awaitCondition(async () => {
      const peer = await connect(url);
      const index = await reactorOf(peer);
      if (found[index] !== undefined) {
        peer.close();
      }
      found[index] ??= peer;
      return found[0] !== undefined && found[1] !== undefined && found[2] !== undefined;
    }, 'new connections to reach all reactors');
    return found;
  }

  it('is named by the watchdog once, while the other reactors serve', async () => {
    const release = new SharedArrayBuffer(4);
    const { server, url, warnings } = await createWorld(
      { release },
      { reactors: 3, blockedAfterMs: 50 },
    );
    const [zero, one, two] = (await onePeerEach(url)) as [RawPeer, RawPeer, RawPeer];
    one.send('block');
    const named = () => warnings.filter(({ message }) => message.includes('in onData'));
    await awaitCondition(() => named().length > 0, 'the warning');
    for (let i = 0; i < 50; i += 1) {
      assert.equal(await reactorOf(zero), 0);
      assert.equal(await reactorOf(two), 2);
    }
    assert.equal(one.receive(), undefined);
    Atomics.store(new Int32Array(release), 0, 1);
    Atomics.notify(new Int32Array(release), 0);
    assert.equal((await one.read(1)).toString(), '1');
    assert.equal(await server.execute(1, 'index'), 1);
    const [warning, ...others] = named();
    assert.equal(warning!.code, 'ERR_REACTOR_BLOCKED');
    assert.match(warning!.message, /Reactor 1 has been in onData/);
    // On a busy machine any turn may be long; but this one is told of once.
    assert.ok(others.every(({ message }) => !message.includes('Reactor 1')));
  });

  it('does not keep a server open for longer than the shortest deadline, and a grace', async () => {
    const { server, url } = await createWorld({}, { reactors: 3, blockedAfterMs: 0 });
    const [zero, one] = (await onePeerEach(url)) as [RawPeer, RawPeer, RawPeer];
    one.send('hang');
    const first = server.close({ deadlineMs: 3_600_000 });
    assert.equal((await zero.readToEnd()).end, 'end');
    const second = server.close({ deadlineMs: 0 });
    await settled(Promise.all([first, second, server.closed]), 'the end of the server');
    const { end } = await one.readToEnd();
    assert.ok(end === 'end' || end === 'ECONNRESET', end);
  });

  it('is replaced where that is wished: its peers see the end, the others nothing', async () => {
    const { server, url, warnings } = await createWorld(
      {},
      { reactors: 3, blockedAfterMs: 200, replaceAfterMs: 1_000 },
    );
    const [zero, one, two] = (await onePeerEach(url)) as [RawPeer, RawPeer, RawPeer];
    const calling = server.execute(1, 'index').catch((error: Error) => error);
    await calling;
    one.send('hang');
    const pending = server.execute(1, 'index').catch((error: Error) => error);
    const { end } = await one.readToEnd();
    assert.ok(end === 'end' || end === 'ECONNRESET', end);
    const outcome = await settled(pending, 'the end of a call');
    assert.ok(outcome === 1 || outcome instanceof Error, String(outcome));
    assert.equal(await reactorOf(zero), 0);
    assert.equal(await reactorOf(two), 2);
    // The replacement takes its share of what comes now.
    await onePeerEach(url);
    const codes = warnings.map(({ code }) => code);
    assert.ok(
      codes.includes('ERR_REACTOR_BLOCKED') && codes.includes('ERR_REACTOR_DIED'),
      codes.join(),
    );
    assert.equal(await server.execute(1, 'index'), 1);
    assert.equal(await reactorOf(zero), 0);
    await rounds(2);
    assert.equal(warnings.filter(({ code }) => code === 'ERR_REACTOR_DIED').length, 1);
  });
});
