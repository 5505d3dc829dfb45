/**
 * Limits at accepting: no descriptors left, or all the connections that a reactor may have. Nobody is left hanging,
 * nothing spins, and service resumes as soon as there is room.
 */

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';

import {
  type Handler,
  type ServeOptions,
  type Server,
  type ServerStats,
  serve,
} from '../../src/index.js';
import { awaitCondition } from '../support/await-condition.js';
import { ChildProgram } from '../support/child-program.js';
import { RawPeer } from '../support/raw-peer.js';

type Totals = ServerStats['totals'];

const MODULE = new URL('../support/engine-handlers/echo.js', import.meta.url);
const echo: Handler = { onData: (connection, bytes) => void connection.write(bytes) };

const peers: RawPeer[] = [];
afterEach(() => {
  for (const peer of peers.splice(0)) {
    peer.close();
  }
});

async function connect(url: string, count: number): Promise<RawPeer[]> {
  const connected = await RawPeer.connectMany(url, count);
  peers.push(...connected);
  return connected;
}

/** What became of a peer: still open, or how it ended. */
function endingOf(peer: RawPeer): string {
  const found = peer.receive();
  return typeof found === 'string' ? found : 'open';
}

async function assertEchoes(peer: RawPeer): Promise<void> {
  peer.send('ping');
  assert.equal((await peer.read(4)).toString(), 'ping');
}

for (const { reactors, limit } of [
  // Above what Node's loader opens at one time: all files of a module's imports, in each thread.
  { reactors: 1, limit: 256 },
  { reactors: 3, limit: 768 },
]) {
  describe(`no descriptors left, ${reactors} reactor(s)`, () => {
    it('sheds orderly, does not spin, and serves again', async () => {
      const child = new ChildProgram(
        'limited-server',
        { reactors },
        { shell: `ulimit -n ${limit}` },
      );
      try {
        const url = (await child.next()) as string;
        const stats = async () => (await child.ask('stats')) as Totals;
        const clients = await connect(url, limit + 180);
        const endings = new Map<RawPeer, string>();
        await awaitCondition(async () => {
          const { connections, refusedDescriptorLimit } = await stats();
          return connections + refusedDescriptorLimit === clients.length;
        }, 'all clients to be served or shed');
        await awaitCondition(async () => {
          const { connections } = await stats();
          for (const client of clients.filter((each) => !endings.has(each))) {
            if (endingOf(client) !== 'open') {
              endings.set(client, 'end');
            }
          }
          return endings.size === clients.length - connections;
        }, 'the shed clients to see their end');
        const served = clients.filter((client) => !endings.has(client));
        assert.ok(served.length > 10 && served.length < limit, `${served.length} are served`);
        for (const client of served) {
          await assertEchoes(client);
        }
        await assertRests(stats);
        await assertServesAgain(url, served);
        assert.equal(child.process.exitCode, null);
        assert.match(child.output, /EMFILE/);
        child.process.send('stop');
        assert.equal(await child.exit(), 0);
      } finally {
        child.kill();
      }
    });
  });
}

/** A full table is no reason to turn: only the timer that looks for descriptors does, and what it finds. */
async function assertRests(stats: () => Promise<Totals>): Promise<void> {
  const before = await stats();
  let after = before;
  // Each question goes round the program's event loop and costs the reactor nothing.
  for (let i = 0; i < 500; i += 1) {
    after = await stats();
  }
  const turns = after.turns - before.turns;
  const timers = after.timersFired - before.timersFired;
  assert.ok(turns <= 8 + 4 * timers, `${turns} turns and ${timers} timers while nothing happened`);
}

/** Some clients leave: as many others are served. */
async function assertServesAgain(url: string, served: RawPeer[]): Promise<void> {
  for (const client of served.slice(0, 5)) {
    client.close();
  }
  for (let good = 0; good < 5; ) {
    const [client] = await connect(url, 1);
    client!.send('ping');
    let found: Buffer | string | undefined;
    await awaitCondition(() => {
      found = client!.receive();
      return found !== undefined;
    }, 'an answer or an end');
    // One that comes before the listener has looked again is still shed.
    good += found instanceof Buffer ? 1 : 0;
  }
}

async function withServer(
  options: Partial<ServeOptions>,
  body: (server: Server, url: string) => Promise<void>,
): Promise<void> {
  const server = await serve({ listen: 'tcp://127.0.0.1:0', handler: echo, ...options });
  try {
    await body(server, server.addresses[0]!);
  } finally {
    await server.close({ deadlineMs: 0 });
  }
}

for (const { reactors, handler } of [
  { reactors: 1, handler: echo },
  { reactors: 3, handler: MODULE },
]) {
  const perReactor = 4;
  const max = perReactor * reactors;
  const base = { reactors, handler, connectionsMax: perReactor };

  describe(`connectionsMax, ${reactors} reactor(s)`, () => {
    it('refuse: closes what is too much, and serves when there is room', async () => {
      await withServer(base, async (server, url) => {
        const first = await connect(url, max);
        await Promise.all(first.map(assertEchoes));
        const late = await connect(url, 5);
        for (const client of late) {
          assert.deepEqual(await client.readToEnd(), { bytes: Buffer.alloc(0), end: 'end' });
        }
        assert.equal(server.stats.totals.refusedConnectionsMax, 5);
        assert.equal(server.stats.totals.connections, max);
        first[0]!.close();
        await awaitCondition(() => server.stats.totals.connections === max - 1, 'a place');
        const [next] = await connect(url, 1);
        await assertEchoes(next!);
      });
    });

    it('wait: leaves what is too much in the backlog until there is room', async () => {
      await withServer({ ...base, whenConnectionsMax: 'wait' }, async (server, url) => {
        const clients = await connect(url, max * 3);
        for (const client of clients) {
          client.send('ping');
        }
        let unserved = clients;
        while (unserved.length > 0) {
          let served: RawPeer[] = [];
          const expected = Math.min(max, unserved.length);
          await awaitCondition(() => {
            const now = unserved.filter((client) => client.receive() instanceof Buffer);
            served = served.concat(now);
            return served.length === expected;
          }, `${expected} more answers`);
          assert.equal(server.stats.totals.connections, expected);
          for (const client of served) {
            client.close();
          }
          unserved = unserved.filter((client) => !served.includes(client));
        }
        assert.equal(server.stats.totals.refusedConnectionsMax, 0);
      });
    });

    it('wait: with two listeners, neither closes what the other filled up', async () => {
      const listen = ['tcp://127.0.0.1:0', 'tcp://127.0.0.1:0'];
      await withServer({ ...base, listen, whenConnectionsMax: 'wait' }, async (server) => {
        const [first, second] = server.addresses;
        const filling = await connect(first!, max);
        await Promise.all(filling.map(assertEchoes));
        const [waiting] = await connect(second!, 1);
        waiting!.send('ping');
        const [waitingToo] = await connect(first!, 1);
        waitingToo!.send('ping');
        // The reactor has turned: whatever it would do with the newcomers is done.
        await assertEchoes(filling[0]!);
        assert.equal(waiting!.receive(), undefined);
        assert.equal(server.stats.totals.refusedConnectionsMax, 0);
        filling[1]!.close();
        filling[2]!.close();
        assert.equal((await waiting!.read(4)).toString(), 'ping');
        assert.equal((await waitingToo!.read(4)).toString(), 'ping');
      });
    });
  });
}
