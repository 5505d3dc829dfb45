/**
 * A reactor whose thread dies: its peers see the end, everything that it had is taken back, it is replaced, and nobody
 * else notices.
 */

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';

import { type ServeOptions, type Server, serve } from '../../src/index.js';
import { awaitCondition, settled } from '../support/await-condition.js';
import { descriptorsOf, threadsOf } from '../support/process-figures.js';
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

interface World {
  readonly server: Server;
  readonly url: string;
  readonly warnings: (Error & { code?: string })[];
}

async function createWorld(options: Partial<ServeOptions> = {}): Promise<World> {
  const warnings: Error[] = [];
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    handler: MODULE,
    data: { greets: true },
    reactors: 3,
    onWarning: (warning) => warnings.push(warning),
    ...options,
  });
  servers.push(server);
  return { server, url: server.addresses[0]!, warnings };
}

/** Connects until each reactor has at least one peer; those that are refused on the way are let go. */
async function onePeerEach({ url }: World): Promise<[RawPeer, RawPeer, RawPeer]> {
  const found: RawPeer[] = [];
  await awaitCondition(async () => {
    const peer = await RawPeer.connect(url);
    peers.push(peer);
    const greeting = await peer.read(1).catch(() => undefined);
    if (greeting !== undefined) {
      found[Number(greeting.toString())] ??= peer;
    }
    return found[0] !== undefined && found[1] !== undefined && found[2] !== undefined;
  }, 'new connections to reach all reactors');
  return found as [RawPeer, RawPeer, RawPeer];
}

async function assertEchoes(peer: RawPeer): Promise<void> {
  peer.send('ping');
  assert.equal((await peer.read(4)).toString(), 'ping');
}

/** How a peer's connection ends whose owner died: by the kernel's hand. */
async function assertEnds(peer: RawPeer): Promise<void> {
  const { end } = await peer.readToEnd();
  assert.ok(end === 'end' || end === 'ECONNRESET', end);
}

/** Ways to die, each as a task and what the warning has to say. */
const DEATHS: readonly { task: string; argument: unknown; message: RegExp }[] = [
  { task: 'exit', argument: 3, message: /exit code 3/ },
  { task: 'throwLater', argument: 'uncaught as told', message: /uncaught as told/ },
  { task: 'fillHeap', argument: undefined, message: /memory|heap/i },
];

const limits = {
  resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 8 },
  // Filling a heap takes long where others compute: the watchdog is not to speak first.
  blockedAfterMs: 600_000,
};

for (const { reusePort, name } of [
  { reusePort: false, name: 'one acceptor' },
  { reusePort: true, name: 'reusePort' },
]) {
  describe(`a reactor that dies, ${name}`, () => {
    for (const { task, argument, message } of DEATHS) {
      it(`by ${task} costs its own connections only, and is replaced`, async () => {
        const world = await createWorld({ reusePort, ...limits });
        const { server, warnings } = world;
        const [zero, one, two] = await onePeerEach(world);
        const before = server.stats.reactors[1]!.connections;
        assert.ok(before >= 1);
        await assertFails(server, task, argument);
        await assertEnds(one);
        await Promise.all([zero, two].map(assertEchoes));
        await awaitCondition(() => warnings.length > 0, 'the warning');
        assert.equal(warnings[0]!.code, 'ERR_REACTOR_DIED');
        assert.match(warnings[0]!.message, /Reactor 1 died/);
        assert.match(warnings[0]!.message, message);
        const [, replacement] = await onePeerEach(world);
        await assertEchoes(replacement);
        await Promise.all([zero, two].map(assertEchoes));
        assert.equal(await server.execute(1, 'index'), 1);
        assert.equal(warnings.length, 1);
        await server.close({ deadlineMs: 0 });
        assert.equal(server.stats.totals.connections, 0);
      });
    }
  });
}

/** The call that kills fails, and so do those that were under way. */
async function assertFails(server: Server, task: string, argument: unknown): Promise<void> {
  const waiting = server.execute(1, 'never').catch((error: Error) => error);
  const killing = server.execute(1, task, argument).catch((error: Error) => error);
  assert.ok((await settled(waiting, 'the call under way')) instanceof Error);
  await settled(killing, 'the call that kills');
}

describe('what a dead reactor had', () => {
  it('is closed and freed: descriptors, threads, and connections that it had not taken yet', async () => {
    const world = await createWorld({ blockedAfterMs: 200, replaceAfterMs: 1_000 });
    const { server, url } = world;
    await onePeerEach(world);
    const settle = async () => {
      for (const peer of peers.splice(0)) {
        peer.close();
      }
      await awaitCondition(() => server.stats.totals.connections === 0, 'all closes');
      await awaitCondition(async () => {
        const indices = await server.executeAll('index').catch(() => []);
        return indices.length === 3;
      }, 'all reactors');
    };
    await settle();
    const before = { descriptors: descriptorsOf('self').size, threads: threadsOf('self').length };
    for (let round = 0; round < 3; round += 1) {
      const blocked = server.execute(1, 'block', 3_600_000).catch(() => {});
      // Every third of these waits in the mailbox of a reactor that will never look into it.
      const clients = await RawPeer.connectMany(url, 30);
      peers.push(...clients);
      for (const client of clients) {
        server.post(1, Buffer.alloc(1_000));
        client.send('ping');
      }
      await settled(blocked, 'the replacement');
      const outcomes = await Promise.all(
        clients.map(async (client) => {
          const answer = await client.read(5).catch(() => undefined);
          return answer === undefined ? 'ended' : 'answered';
        }),
      );
      assert.ok(outcomes.filter((outcome) => outcome === 'answered').length >= 15, outcomes.join());
      await settle();
    }
    await awaitCondition(
      () =>
        descriptorsOf('self').size <= before.descriptors &&
        threadsOf('self').length <= before.threads,
      'the descriptors and threads of before',
    );
  });

  it('under fire of new connections nobody is left hanging', async () => {
    const world = await createWorld();
    const { server, url, warnings } = world;
    const outcomes: string[] = [];
    const visit = async () => {
      const peer = await RawPeer.connect(url);
      peers.push(peer);
      peer.send('ping');
      const answer = await peer.read(5).catch(() => undefined);
      outcomes.push(answer === undefined ? 'ended' : 'answered');
      peer.close();
    };
    const visits: Promise<void>[] = [];
    for (let round = 0; round < 4; round += 1) {
      for (let i = 0; i < 50; i += 1) {
        visits.push(visit());
      }
      await server.execute(round % 3, 'exit', 1).catch(() => {});
      await awaitCondition(
        async () => (await server.executeAll('index').catch(() => [])).length === 3,
        'all reactors',
      );
    }
    await settled(Promise.all(visits), 'all visits');
    assert.equal(outcomes.length, 200);
    assert.ok(outcomes.filter((outcome) => outcome === 'answered').length >= 50, 'most are served');
    assert.equal(warnings.length, 4);
    await awaitCondition(() => server.stats.totals.connections === 0, 'all closes');
  });

  it('all three may die at once: the server comes back', async () => {
    const world = await createWorld();
    const { server, warnings } = world;
    const before = await onePeerEach(world);
    await Promise.all([0, 1, 2].map((i) => server.execute(i, 'exit', 1).catch(() => {})));
    await Promise.all(before.map(assertEnds));
    await Promise.all((await onePeerEach(world)).map(assertEchoes));
    assert.equal(warnings.length, 3);
  });

  it('a server is closed while a reactor is being replaced', async () => {
    for (let round = 0; round < 4; round += 1) {
      const world = await createWorld();
      await onePeerEach(world);
      await world.server.execute(1, 'exit', 1).catch(() => {});
      if (round > 0) {
        // Somewhere in the midst of the start of its replacement.
        await new Promise((resolve) => setTimeout(resolve, 30 + 30 * round));
      }
      for (const peer of peers.splice(0)) {
        peer.close();
      }
      await settled(world.server.close(), 'the end of the server');
      await settled(world.server.closed, 'the end of the server');
    }
  });
});
