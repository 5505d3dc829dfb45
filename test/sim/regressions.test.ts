/**
 * What the simulator once found, as named cases: the seed in which it showed, and the same without chance. A seed means
 * what it did as long as trials draw in the same order; the scripts keep their meaning.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { parseAddress } from '../../src/base/address.js';
import { releaseCachedRegions } from '../../src/base/region-cache.js';
import { listenOn } from '../../src/connection/listen-socket.js';
import { Profile } from '../../src/connection/profile.js';
import { releaseCachedSlabs } from '../../src/connection/slabs.js';
import { ReactorStats } from '../../src/connection/stats.js';
import { readSettings } from '../../src/engine/settings.js';
import { ThreadedServer } from '../../src/engine/threaded-server.js';
import type { Peers } from '../../src/connection/reactor-options.js';
import type { ReactorCheck } from './check-reactor.js';
import { SimWorld } from './sim-world.js';
import { runTrial } from './trial.js';
import { driverKind } from './trial-driver.js';
import { type ReactorParts, watchedReactor } from './trial-reactors.js';
import { SimThreads } from './trial-threads.js';

const REACTOR = {
  index: 0,
  connectionsMax: 10,
  refuseWhenMax: true,
  receiveBytes: 4_096,
  receiveBudget: 16_384,
  acceptBudget: 16,
  blockBytesMax: 1 << 24,
  guardMemory: false,
  peers: {
    count: 1,
    write: () => 'closed',
    send: () => 'closed',
    post: () => false,
  } satisfies Peers as Peers,
  inbox: () => false,
  onTurn: () => {},
  onWarning: () => {},
  onShutdownRequest: () => {},
};

/** With the io_uring driver, which has sends and receives under way while the connection layer does other things. */
const URING_SEEDS = [
  ['bytes that a destroyed connection still sent are counted', 146],
  ['an end that waits for a pause is reported after our own end was sent', 212],
  ['a poll for room ends when nobody waits for it: a Unix peer that reads wakes nobody', 6909],
  ['the bytes of a write are not pushed out of a connection that is destroyed', 71],
] as const;

describe('what the simulator once found', () => {
  it('a listener that epoll has no memory for at first accepts in the end', () => {
    const world = new SimWorld({ seed: 1, shape: 'plain' });
    const kernel = world.kernel('main');
    const checks: ReactorCheck[] = [];
    const parts: ReactorParts = { driver: driverKind(), world, kernel, checks };
    const handler = {};
    const reactor = watchedReactor(parts, { ...REACTOR, handler, stats: ReactorStats.create() });
    const [socket] = listenOn(kernel, parseAddress('tcp://127.0.0.1:80'), {});
    // ENOMEM, or ENOSPC: fs.epoll.max_user_watches.
    world.faults.rates.controlNoMemory = 1;
    reactor.addListener(socket, new Profile(handler, {}));
    world.faults.stop();
    const peer = world.peer();
    peer.connect('tcp://127.0.0.1:80');
    assert.ok(
      world.runSync({ until: () => reactor.connectionCount === 1, maxSteps: 10_000 }),
      'the connection is accepted',
    );
    peer.end();
    world.runSync({ until: () => peer.isOver, maxSteps: 10_000 });
    reactor.stopListening();
    world.runSync({ until: () => false, maxSteps: 100 });
    assert.equal(reactor.destroy(), 0);
    releaseCachedRegions(kernel);
    releaseCachedSlabs(kernel);
    world.finish();
  });

  it('a reactor of a replaced thread listens though epoll had no memory (seed 193)', async () => {
    await runTrial(193, { driver: 'epoll' });
  });

  it('a message to a reactor that has stopped already is freed with the server', async () => {
    const world = new SimWorld({ seed: 1, shape: 'plain' });
    const threads = new SimThreads(world, driverKind(), () => ({}));
    try {
      const options = {
        listen: 'tcp://127.0.0.1:80',
        handler: new URL('file:///handler.js'),
        reactors: 2,
        blockedAfterMs: 0,
      };
      const settings = readSettings(options, 1_024, () => ({ name: 'epoll', reason: 'test' }));
      const server = new ThreadedServer(options, settings);
      await until(world, server.start(settings.addresses));
      const closed = server.close();
      const { workers } = threads;
      await world.run({ until: () => workers.some(({ hasExited }) => hasExited) });
      const gone = workers.filter(({ hasExited }) => hasExited);
      assert.equal(gone.length, 1, 'one is gone, the other still ends');
      // As a reactor would that is still at it.
      server.post(gone[0].index, Buffer.from('to whom it may concern'));
      await until(world, closed);
      threads.uninstall();
      world.finish();
    } finally {
      threads.restore();
    }
  });

  it('a message of the last reactor to another is freed with the server (seed 2143)', async () => {
    await runTrial(2143, { driver: 'epoll' });
  });

  for (const [what, seed] of URING_SEEDS) {
    it(`${what} (io_uring, seed ${seed})`, async () => {
      await runTrial(seed, { driver: 'uring' });
    });
  }

  for (const [driver, descriptorLimits] of [
    ['epoll', [3, 4]],
    ['uring', [3, 4, 5, 6]],
  ] as const) {
    it(`a reactor that cannot be made leaves no descriptor, on ${driver}`, () => {
      for (const descriptorLimit of descriptorLimits) {
        // The first is 3; what the driver opens next has no place.
        const world = new SimWorld({ seed: 1, shape: { base: 'plain', descriptorLimit } });
        const kernel = world.kernel('main');
        const parts: ReactorParts = { driver, world, kernel, checks: [] };
        const stats = ReactorStats.create();
        assert.throws(() => watchedReactor(parts, { ...REACTOR, handler: {}, stats }), /EMFILE/);
        releaseCachedRegions(kernel);
        releaseCachedSlabs(kernel);
        world.finish();
      }
    });
  }
});

async function until(world: SimWorld, promise: Promise<unknown>): Promise<void> {
  let isSettled = false;
  const settled = promise.then(() => {
    isSettled = true;
  });
  await world.run({ until: () => isSettled });
  assert.ok(isSettled, 'the promise is settled');
  await settled;
}
