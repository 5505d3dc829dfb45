/** The engine: where connections go, tasks, messages, pinned threads, boots that fail, signals. */

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';

import { type Balance, type ServeOptions, type Server, serve } from '../../src/index.js';
import { awaitCondition, settled } from '../support/await-condition.js';
import type { Letter } from '../support/engine-handlers/echo.js';
import { descriptorsOf, statusOf, threadsOf } from '../support/process-figures.js';
import { RawPeer } from '../support/raw-peer.js';

const MODULE = new URL('../support/engine-handlers/echo.js', import.meta.url);

const servers: Server[] = [];
const peers: RawPeer[] = [];

afterEach(async () => {
  for (const peer of peers.splice(0)) {
    peer.close();
  }
  await Promise.all(servers.splice(0).map((server) => server.close({ deadlineMs: 0 })));
});

async function start(options: Partial<ServeOptions> = {}): Promise<Server> {
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    handler: MODULE,
    data: { greets: true },
    ...options,
  });
  servers.push(server);
  return server;
}

/** Connects one after the other; gives the peers by the reactor that greeted them. */
async function connect(server: Server, count: number, source = '127.0.0.1'): Promise<RawPeer[][]> {
  const byReactor: RawPeer[][] = Array.from({ length: server.reactorCount }, () => []);
  for (let i = 0; i < count; i += 1) {
    const peer = await RawPeer.connect(server.addresses[0]!, { localAddress: `tcp://${source}:0` });
    peers.push(peer);
    byReactor[Number((await peer.read(1)).toString())]!.push(peer);
  }
  return byReactor;
}

function sizes(byReactor: readonly RawPeer[][]): number[] {
  return byReactor.map(({ length }) => length);
}

/** Connections of each reactor as the statistics have them. */
function connectionsOf(server: Server): number[] {
  return server.stats.reactors.map(({ connections }) => connections);
}

async function assertServed(each: readonly RawPeer[]): Promise<void> {
  for (const peer of each) {
    peer.send('ping');
    assert.equal((await peer.read(4)).toString(), 'ping');
  }
}

describe('balancing over three reactors', () => {
  const startWith = (balance: Balance) => start({ reactors: 3, balance });

  it('round-robin: as many for each', async () => {
    const server = await startWith('round-robin');
    assert.deepEqual(sizes(await connect(server, 30)), [10, 10, 10]);
    assert.deepEqual(connectionsOf(server), [10, 10, 10]);
  });

  it('least-connections: fills up what others left', async () => {
    const server = await startWith('least-connections');
    const first = await connect(server, 30);
    assert.deepEqual(sizes(first), [10, 10, 10]);
    for (const peer of [...first[1]!, ...first[2]!.slice(0, 3)]) {
      peer.close();
    }
    await awaitCondition(() => server.stats.totals.connections === 17, 'the closes');
    await connect(server, 13);
    assert.deepEqual(connectionsOf(server), [10, 10, 10]);
  });

  it('source-hash: a host stays with its reactor, the hosts are spread', async () => {
    const server = await startWith('source-hash');
    for (let host = 1; host <= 40; host += 1) {
      const found = sizes(await connect(server, 3, `127.0.1.${host}`));
      assert.equal(Math.max(...found), 3, found.join());
    }
    const skew = connectionsOf(server);
    assert.ok(Math.min(...skew) >= 9 && Math.max(...skew) <= 90, skew.join());
  });

  it('descriptor-hash, random and power-of-two: near enough to even', async () => {
    for (const [balance, least, most] of [
      ['descriptor-hash', 40, 180],
      ['random', 55, 150],
      ['power-of-two', 85, 115],
    ] as const) {
      const server = await startWith(balance);
      const found = sizes(await connect(server, 300));
      assert.deepEqual(connectionsOf(server), found);
      const message = `${balance}: ${found.join()}`;
      assert.ok(Math.min(...found) >= least && Math.max(...found) <= most, message);
      await server.close({ deadlineMs: 0 });
    }
  });

  it('reusePort: the kernel spreads, and every reactor accepts its own', async () => {
    const server = await start({ reactors: 3, reusePort: true });
    const found = sizes(await connect(server, 120));
    assert.ok(Math.min(...found) >= 10, found.join());
    assert.deepEqual(
      server.stats.reactors.map(({ accepted }) => accepted),
      found,
    );
  });
});

for (const reactors of [1, 3]) {
  describe(`tasks, ${reactors} reactor(s)`, () => {
    const last = reactors - 1;

    it('run on the reactor that is named, or on all', async () => {
      const server = await start({ reactors });
      assert.equal(await server.execute(last, 'index'), last);
      assert.deepEqual(
        await server.executeAll('index'),
        Array.from({ length: reactors }, (_, i) => i),
      );
      const answers = await Promise.all(
        Array.from({ length: 200 }, (_, i) => server.execute(i % reactors, 'double', i)),
      );
      assert.deepEqual(
        answers,
        Array.from({ length: 200 }, (_, i) => i * 2),
      );
    });

    it('take and give structured clones', async () => {
      const server = await start({ reactors });
      const value = {
        map: new Map([[1, new Date(5)]]),
        bytes: new Uint8Array([1, 2]),
        no: undefined,
      };
      assert.deepEqual(await server.execute(last, 'echo', value), value);
      const list = [1];
      assert.deepEqual(await server.execute(last, 'change', list), [1, 0]);
      assert.deepEqual(list, [1]);
      await assert.rejects(server.execute(last, 'unclonable'), /could not be cloned/);
      await assert.rejects(
        server.execute(last, 'echo', () => {}),
        /could not be cloned/,
      );
    });

    it('that throw, reject or are none reject the call, with the code', async () => {
      const server = await start({ reactors });
      await assert.rejects(server.execute(last, 'fail', 'why'), {
        name: 'TypeError',
        message: 'why',
      });
      await assert.rejects(server.execute(last, 'reject', 'why'), {
        message: 'why',
        code: 'ECODE',
      });
      for (const none of ['nothing', 'constructor', 'toString', '__proto__']) {
        await assert.rejects(server.execute(last, none), { code: 'ERR_NO_TASK' });
      }
      for (const wrong of [-1, reactors, 0.5, Number.NaN]) {
        await assert.rejects(server.execute(wrong, 'index'), RangeError);
      }
      assert.equal(await server.execute(last, 'index'), last);
    });

    it('under way when the server closes do not hang', async () => {
      const server = await start({ reactors });
      const calls = [server.execute(last, 'index'), server.execute(last, 'never')];
      const outcomes = Promise.allSettled(calls);
      await server.close({ deadlineMs: 0 });
      if (reactors > 1) {
        assert.equal((await settled(outcomes, 'the calls'))[1]!.status, 'rejected');
      } else {
        // A promise of this very thread that nobody will ever resolve: there is nothing to tell.
        assert.equal(await settled(calls[0]!, 'the call'), 0);
      }
    });
  });

  describe(`messages, ${reactors} reactor(s)`, () => {
    async function lettersOf(server: Server, count: number): Promise<Letter[][]> {
      let letters: Letter[][] = [];
      await awaitCondition(async () => {
        letters = (await server.executeAll('letters')) as Letter[][];
        return letters.flat().length >= count;
      }, `${count} letters`);
      return letters;
    }

    it('reach the reactor that is named, with who sent them', async () => {
      const server = await start({ reactors });
      const last = reactors - 1;
      const bytes = Buffer.from('from outside');
      assert.equal(server.post(last, bytes), true);
      // They travel as a copy.
      bytes.fill('x');
      assert.equal(server.post(last, Buffer.alloc(0)), true);
      const first = (await lettersOf(server, 2))[last]!;
      assert.deepEqual(first, [
        { text: 'from outside', from: -1 },
        { text: '', from: -1 },
      ]);
      assert.equal(await server.execute(0, 'post', { to: last, text: 'inside' }), true);
      const second = (await lettersOf(server, 3))[last]!;
      assert.deepEqual(second.at(-1), { text: 'inside', from: 0 });
      assert.throws(() => server.post(reactors, bytes), RangeError);
    });

    it('are broadcast to all, the sender included', async () => {
      const server = await start({ reactors });
      assert.equal(server.broadcast(Buffer.from('one')), true);
      await lettersOf(server, reactors);
      assert.equal(await server.execute(reactors - 1, 'broadcast', 'two'), true);
      const letters = await lettersOf(server, 2 * reactors);
      const expected = [
        { text: 'one', from: -1 },
        { text: 'two', from: reactors - 1 },
      ];
      assert.deepEqual(letters, new Array(reactors).fill(expected));
    });
  });

  describe(`signals, ${reactors} reactor(s)`, () => {
    it('an abort closes the server', async () => {
      const controller = new AbortController();
      const server = await start({ reactors, signal: controller.signal });
      const [[peer]] = (await connect(server, 1)) as [[RawPeer]];
      controller.abort();
      assert.equal((await peer.readToEnd()).end, 'end');
      peer.close();
      await settled(server.closed, 'the end of the server');
    });

    it('one that is aborted already, or while it starts, leaves no server', async () => {
      const reason = new Error('not now');
      await assert.rejects(start({ reactors, signal: AbortSignal.abort(reason) }), reason);
      const controller = new AbortController();
      const starting = start({ reactors, signal: controller.signal });
      controller.abort(reason);
      await assert.rejects(settled(starting, 'the rejection'), reason);
    });
  });

  it(`await using closes the server, ${reactors} reactor(s)`, async () => {
    const server = await start({ reactors });
    const peer = await RawPeer.connect(server.addresses[0]!);
    const disposing = server[Symbol.asyncDispose]();
    await peer.readToEnd();
    peer.close();
    await settled(disposing, 'the disposal');
    await settled(server.closed, 'the end of the server');
  });

  it(`a boot that fails rejects and leaves nothing, ${reactors} reactor(s)`, async () => {
    const failing = { reactors, data: { failingBoot: reactors - 1 } };
    const expected = { name: 'RangeError', message: `no boot of ${reactors - 1}` };
    await assert.rejects(start(failing), expected);
    const before = { descriptors: descriptorsOf('self').size, threads: threadsOf('self').length };
    const url = await freeUrl();
    for (let i = 0; i < 3; i += 1) {
      await assert.rejects(start({ ...failing, listen: url }), expected);
    }
    await awaitCondition(
      () =>
        descriptorsOf('self').size <= before.descriptors &&
        threadsOf('self').length <= before.threads,
      'the descriptors and threads of before',
    );
    // The port is free again.
    await start({ reactors, listen: url });
  });
}

async function freeUrl(): Promise<string> {
  const server = await start();
  const [url] = server.addresses;
  await server.close();
  return url!;
}

describe('statistics', () => {
  it('are there during load: sums of all reactors that never go back', async () => {
    const server = await start({ reactors: 3 });
    const clients = (await connect(server, 9)).flat();
    let last = server.stats.totals;
    let readings = 0;
    for (let i = 0; i < 60; i += 1) {
      for (const peer of clients) {
        peer.send('ping');
      }
      const { totals, reactors } = server.stats;
      for (const name of ['bytesReceived', 'bytesSent', 'turns', 'receives', 'sends'] as const) {
        assert.ok(totals[name] >= last[name], name);
      }
      const sum = reactors.reduce((all, { bytesReceived }) => all + bytesReceived, 0);
      assert.equal(sum, totals.bytesReceived);
      last = totals;
      readings += 1;
      await Promise.all(clients.map((peer) => peer.read(4)));
    }
    assert.equal(readings, 60);
    await awaitCondition(() => server.stats.totals.bytesSent === 9 * (60 * 4 + 1), 'the figures');
    assert.equal(server.stats.totals.bytesReceived, 9 * 60 * 4);
    assert.ok(server.stats.totals.turnMicroseconds.count > 0);
  });
});

describe('pinning', () => {
  it('each reactor runs on the CPU that it was given, and this thread where it was', async () => {
    const allowed = cpusOf(process.pid);
    const cpus = [allowed.at(-1)!, allowed[0]!];
    const server = await start({ reactors: 2, cpus });
    const threads = (await server.executeAll('nativeThreadId')) as number[];
    assert.deepEqual(threads.map(cpusOf), [[cpus[0]], [cpus[1]]]);
    assert.deepEqual(cpusOf(process.pid), allowed);
    await assertServed((await connect(server, 4)).flat());
  });
});

/** The CPUs that a thread of this process may use, out of a list such as `0-2,4`. */
function cpusOf(thread: number): number[] {
  return statusOf('self', thread, 'Cpus_allowed_list')
    .split(',')
    .flatMap((range) => {
      const [first, last = first] = range.split('-').map(Number) as [number, number?];
      return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    });
}
