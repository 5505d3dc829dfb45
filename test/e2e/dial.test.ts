/** Dialing: every way to fail gives one rejection with the right code, and every way to succeed one connection. */

import assert from 'node:assert/strict';
import dnsPromises from 'node:dns/promises';
import { mkdtempSync, rmSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';

import {
  type Connection,
  type DialOptions,
  dial,
  type Reactor,
  type Server,
  SystemError,
  serve,
} from '../../src/index.js';
import { awaitCondition, settled } from '../support/await-condition.js';
import { type DialOutcome, dialToTheEnd } from '../support/engine-handlers/dialer.js';
import { freePort, RawListener, RawPeer } from '../support/raw-peer.js';

const MODULE = new URL('../support/engine-handlers/dialer.js', import.meta.url);

/** Something that has to be closed after the test. */
const open: { close(): void }[] = [];

afterEach(() => {
  for (const each of open.splice(0)) {
    each.close();
  }
});

function listen(url: string, backlog?: number): RawListener {
  const listener = RawListener.listen(url, backlog);
  open.push(listener);
  return listener;
}

/** A listener whose queue is full: the kernel drops the SYN of whoever comes next, as a host that is gone would. */
async function blackHole(): Promise<string> {
  const listener = listen('tcp://127.0.0.1:0', 0);
  for (let waiting = 0; waiting < 2; ) {
    const peer = RawPeer.begin(listener.url);
    open.push(peer);
    await new Promise((resolve) => setTimeout(resolve, 5));
    waiting += peer.isConnected ? 0 : 1;
  }
  return listener.url;
}

interface Attempt {
  readonly outcome: Promise<unknown>;
  readonly events: string[];
}

/** Dials with a handler that notes its hooks, and what became of the promise, in order. */
function attempt(url: string, options: DialOptions = {}): Attempt {
  const events: string[] = [];
  const handler = {
    onOpen: () => void events.push('open'),
    onClose: () => void events.push('close'),
  };
  const outcome = settled(dial(url, { ...options, handler }), `the dial of ${url}`).then(
    (connection) => {
      events.push('resolved');
      return connection;
    },
    (error: unknown) => {
      events.push('rejected');
      return error;
    },
  );
  return { outcome, events };
}

async function expectFailure(url: string, code: string, options: DialOptions = {}): Promise<Error> {
  const { outcome, events } = attempt(url, options);
  const error = (await outcome) as SystemError;
  assert.equal(error.code, code, String(error));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(events, ['rejected']);
  return error;
}

async function expectSuccess(url: string, options: DialOptions = {}): Promise<Connection> {
  const { outcome, events } = attempt(url, options);
  const connection = (await outcome) as Connection;
  assert.deepEqual(events, ['open', 'resolved'], String(connection));
  open.push({ close: () => connection.abort() });
  return connection;
}

describe('a dial that fails', () => {
  it('is refused where nobody listens', async () => {
    const error = await expectFailure(`tcp://127.0.0.1:${freePort()}`, 'ECONNREFUSED');
    assert.ok(error instanceof SystemError);
    assert.equal(error.syscall, 'connect');
    await expectFailure(`tcp://[::1]:${freePort()}`, 'ECONNREFUSED');
  });

  it('times out when nobody answers', async () => {
    await expectFailure(await blackHole(), 'ETIMEDOUT', { connectTimeoutMs: 20 });
  });

  it('is unreachable without a route, at once', async () => {
    // A multicast address is no TCP peer: ENETUNREACH comes from connect itself.
    await expectFailure('tcp://224.0.0.1:9', 'ENETUNREACH');
  });

  it('does not meet itself', async () => {
    const url = `tcp://127.0.0.1:${freePort()}`;
    await expectFailure(url, 'ECONNREFUSED', { localAddress: url });
  });

  it('finds no file, or one that nobody listens on', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-dial-'));
    open.push({ close: () => rmSync(folder, { recursive: true }) });
    await expectFailure(`unix://${folder}/none`, 'ENOENT');
    RawListener.listen(`unix://${folder}/stale`).close();
    await expectFailure(`unix://${folder}/stale`, 'ECONNREFUSED');
    await expectFailure('unix-abstract://millrace-nobody-listens-here', 'ECONNREFUSED');
  });

  it('is told when a Unix listener has no room', async () => {
    const listener = listen('unix-abstract://millrace-full', 0);
    open.push(await RawPeer.connect(listener.url));
    await expectFailure(listener.url, 'EAGAIN');
  });

  it('cannot bind to an address that is not ours, or in use', async () => {
    const { url } = listen('tcp://127.0.0.1:0');
    await expectFailure(url, 'EADDRNOTAVAIL', { localAddress: 'tcp://192.0.2.1:0' });
    await expectFailure(url, 'EADDRINUSE', { localAddress: url });
  });

  it('rejects for wrong arguments', async () => {
    await assert.rejects(dial('tcp://127.0.0.1'), TypeError);
    await assert.rejects(dial('fd://3'), TypeError);
    await assert.rejects(dial('tcp://127.0.0.1:9', { connectTimeoutMs: -1 }), RangeError);
    await assert.rejects(dial('tcp://127.0.0.1:9', { localAddress: 'nonsense' }), TypeError);
  });
});

describe('a dial with a signal', () => {
  it('rejects with the reason of a signal that is aborted already', async () => {
    const reason = new Error('not today');
    const { outcome, events } = attempt('tcp://127.0.0.1:9', { signal: AbortSignal.abort(reason) });
    assert.equal(await outcome, reason);
    assert.deepEqual(events, ['rejected']);
  });

  it('rejects with the reason when aborted while connecting, and leaves no socket', async () => {
    const controller = new AbortController();
    const { outcome, events } = attempt(await blackHole(), { signal: controller.signal });
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual(events, []);
    const reason = new Error('no more');
    controller.abort(reason);
    assert.equal(await outcome, reason);
    assert.deepEqual(events, ['rejected']);
  });

  it('does not touch the connection when aborted later', async () => {
    const controller = new AbortController();
    const { url } = listen('tcp://127.0.0.1:0');
    const connection = await expectSuccess(url, { signal: controller.signal });
    controller.abort();
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(connection.state, 'open');
  });
});

describe('a dial by name', () => {
  const lookup = dnsPromises.lookup;
  let answer: { address: string; family: number }[] = [];

  before(() => {
    dnsPromises.lookup = (async () => answer) as unknown as typeof lookup;
    syncBuiltinESMExports();
  });
  after(() => {
    dnsPromises.lookup = lookup;
    syncBuiltinESMExports();
  });

  const V4 = { address: '127.0.0.1', family: 4 };
  const V6 = { address: '::1', family: 6 };

  it('falls back to IPv4 at once when IPv6 refuses, whatever the delay', async () => {
    answer = [V6, V4];
    const { url } = listen('tcp://127.0.0.1:0');
    const connection = await expectSuccess(url.replace('127.0.0.1', 'localhost'), {
      attemptDelayMs: 3_600_000,
    });
    assert.equal(connection.remoteAddress, url);
  });

  it('falls back to IPv6 at once when IPv4 refuses', async () => {
    answer = [V4, V6];
    const { url } = listen('tcp://[::1]:0');
    const connection = await expectSuccess(url.replace('[::1]', 'localhost'), {
      attemptDelayMs: 3_600_000,
    });
    assert.equal(connection.remoteAddress, url);
  });

  it('tries the next address beside one that does not answer', async () => {
    const hole = await blackHole();
    const port = Number(hole.slice(hole.lastIndexOf(':') + 1));
    listen(`tcp://[::1]:${port}`);
    answer = [V4, V6];
    const url = `tcp://localhost:${port}`;
    const connection = await expectSuccess(url, { attemptDelayMs: 1, connectTimeoutMs: 0 });
    assert.equal(connection.remoteAddress, `tcp://[::1]:${port}`);
  });

  it('fails with the first error when all addresses fail', async () => {
    answer = [V6, V4];
    const port = freePort();
    const error = await expectFailure(`tcp://localhost:${port}`, 'ECONNREFUSED');
    assert.equal((error as SystemError).address, `tcp://[::1]:${port}`);
  });

  it('asks for one family only where the URL does', async () => {
    answer = [V4, V6];
    const { url } = listen('tcp://[::1]:0');
    const connection = await expectSuccess(url.replace('tcp://[::1]', 'tcp6://localhost'));
    assert.equal(connection.remoteAddress, url);
    await expectFailure(url.replace('tcp://[::1]', 'tcp4://localhost'), 'ECONNREFUSED');
  });

  it('passes on that there is no such name', async () => {
    answer = [];
    await expectFailure('tcp://nowhere.invalid:9', 'ENOTFOUND');
  });
});

describe('a dial that succeeds', () => {
  it('is bound to the local address that was asked for', async () => {
    const { url } = listen('tcp://127.0.0.1:0');
    const connection = await expectSuccess(url, { localAddress: 'tcp://127.0.0.2:0' });
    assert.match(connection.localAddress, /^tcp:\/\/127\.0\.0\.2:\d+$/);
    assert.equal(connection.remoteAddress, url);
  });

  it('has its context before onOpen', async () => {
    const { url } = listen('tcp://127.0.0.1:0');
    const seen: unknown[] = [];
    const context = { name: 'mine' };
    const handler = { onOpen: (connection: Connection) => void seen.push(connection.context) };
    const connection = await dial(url, { context, handler });
    assert.deepEqual(seen, [context]);
    connection.abort();
  });

  it('still resolves when its handler closes it in onOpen or throws', async () => {
    const { url } = listen('tcp://127.0.0.1:0');
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => void warnings.push(warning);
    process.on('warning', onWarning);
    const closing = await dial(url, { handler: { onOpen: (connection) => connection.abort() } });
    const throwing = await dial(url, {
      handler: {
        onOpen() {
          throw new Error('as told');
        },
      },
    });
    await awaitCondition(
      () => closing.state === 'closed' && throwing.state === 'closed',
      'the end',
    );
    await awaitCondition(
      () => warnings.some(({ message }) => message === 'as told'),
      'the warning',
    );
    process.off('warning', onWarning);
  });
});

for (const reactors of [1, 3]) {
  describe(`a dial from a reactor, ${reactors} in all`, () => {
    let server: Server;
    before(async () => {
      server = await serve({ listen: 'tcp://127.0.0.1:0', handler: MODULE, reactors });
    });
    after(() => server.close());

    it('makes a connection that lives on that reactor', async () => {
      const [url] = server.addresses;
      const dialed = server.stats.reactors.map((each) => each.dialed);
      for (let index = 0; index < reactors; index += 1) {
        const outcome = (await server.execute(index, 'dial', { url })) as DialOutcome;
        assert.deepEqual(outcome, {
          events: ['opened', 'resolved', 'data hello', 'closed ended'],
          reactor: index,
          owner: index,
          code: undefined,
        });
      }
      assert.deepEqual(
        server.stats.reactors.map((each, i) => each.dialed - dialed[i]!),
        new Array(reactors).fill(1),
      );
    });

    it('rejects once, with the code', async () => {
      const url = `tcp://127.0.0.1:${freePort()}`;
      const outcomes = (await server.executeAll('dial', { url })) as DialOutcome[];
      for (const { events, code } of outcomes) {
        assert.deepEqual([events, code], [['rejected'], 'ECONNREFUSED']);
      }
    });

    it('leaves no connection and no descriptor behind after a thousand refusals', async () => {
      const url = `tcp://127.0.0.1:${freePort()}`;
      for (let i = 0; i < 1_000 / reactors; i += 50) {
        await Promise.all(Array.from({ length: 50 }, () => server.executeAll('dial', { url })));
      }
      assert.equal(server.stats.totals.connections, 0);
    });
  });
}

it('a dial under way when its server closes does not hang', async () => {
  const url = await blackHole();
  let reactor: Reactor | undefined;
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    handler: {
      onBoot(booted) {
        reactor = booted;
      },
    },
  });
  const connecting = dialToTheEnd(reactor!, { url, options: { connectTimeoutMs: 0 } });
  const resolving = dialToTheEnd(reactor!, { url: 'tcp://localhost:9' });
  await settled(server.close({ deadlineMs: 0 }), 'the close of the server');
  for (const outcome of [connecting, resolving]) {
    assert.deepEqual((await settled(outcome, 'the end of a dial', 5_000)).events, ['rejected']);
  }
  const late = dialToTheEnd(reactor!, { url });
  assert.deepEqual((await settled(late, 'the end of a late dial', 5_000)).events, ['rejected']);
});
