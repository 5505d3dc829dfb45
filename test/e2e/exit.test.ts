/**
 * The end of a process, or of a thread, with a server in it: at once, with the right exit code, whatever is open. Under
 * load it is tried several times, since what could go wrong there depends on the moment.
 */

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';

import { awaitCondition } from '../support/await-condition.js';
import { ChildProgram } from '../support/child-program.js';
import type { ExitOrder } from '../support/child-programs/exiting-server.js';
import { RawPeer } from '../support/raw-peer.js';

/** As the program has it; importing it would run it. */
const EXIT_CODE = 23;
/** What takes longer hangs. */
const EXIT_GUARD_MS = 10_000;
const TRIES_UNDER_LOAD = 4;

const children: ChildProgram[] = [];
const peers: RawPeer[] = [];

afterEach(() => {
  for (const child of children.splice(0)) {
    child.kill();
  }
  for (const peer of peers.splice(0)) {
    peer.close();
  }
});

async function start(order: ExitOrder): Promise<{ child: ChildProgram; url: string }> {
  const child = new ChildProgram('exiting-server', order);
  children.push(child);
  return { child, url: (await child.next()) as string };
}

async function connect(url: string, count: number): Promise<RawPeer[]> {
  const connected = await RawPeer.connectMany(url, count);
  peers.push(...connected);
  for (const peer of connected) {
    peer.send('ping');
    await peer.read(4);
  }
  return connected;
}

/** Keeps connections busy until they end; says how many answers came. */
async function load(clients: readonly RawPeer[]): Promise<number> {
  let answers = 0;
  await Promise.all(
    clients.map(async (client) => {
      for (;;) {
        if (client.send('ping') < 0) {
          return;
        }
        try {
          await client.read(4);
        } catch {
          return;
        }
        answers += 1;
      }
    }),
  );
  return answers;
}

async function assertEnds(clients: readonly RawPeer[]): Promise<void> {
  for (const client of clients) {
    const { end } = await client.readToEnd();
    assert.ok(end === 'end' || end === 'ECONNRESET', end);
  }
}

function assertExit(child: ChildProgram, exit: unknown, expected: number): void {
  assert.equal(exit, expected, `exit code ${exit}; the program said: ${child.output}`);
}

const SHAPES = [1, 3];

for (const reactors of SHAPES) {
  describe(`the end of a process, ${reactors} reactor(s)`, () => {
    it('process.exit ends at once with idle connections', async () => {
      const { child, url } = await start({ way: 'exit', reactors });
      const clients = await connect(url, 6);
      child.process.send('now');
      assertExit(child, await child.exit(EXIT_GUARD_MS), EXIT_CODE);
      await assertEnds(clients);
    });

    it('process.exit ends at once under load', async () => {
      for (let i = 0; i < TRIES_UNDER_LOAD; i += 1) {
        const { child, url } = await start({ way: 'exit', reactors });
        const clients = await connect(url, 12);
        const loading = load(clients);
        child.process.send('now');
        assertExit(child, await child.exit(EXIT_GUARD_MS), EXIT_CODE);
        await loading;
      }
    });

    it('an uncaught exception ends it as ever', async () => {
      const { child, url } = await start({ way: 'uncaught', reactors });
      await connect(url, 3);
      child.process.send('now');
      assertExit(child, await child.exit(EXIT_GUARD_MS), 1);
      assert.match(child.output, /uncaught as told/);
    });

    it('a closed server keeps nothing alive', async () => {
      const { child, url } = await start({ way: 'close', reactors });
      await connect(url, 3);
      child.process.send('now');
      assertExit(child, await child.exit(EXIT_GUARD_MS), 0);
      assert.match(child.output, /closed/);
    });

    it('nor does one that is unreferenced, whatever is connected', async () => {
      const { child, url } = await start({ way: 'unref', reactors });
      const clients = await connect(url, 3);
      child.process.send('now');
      assertExit(child, await child.exit(EXIT_GUARD_MS), 0);
      await assertEnds(clients);
    });

    it('nor does a dialed connection that is closed', async () => {
      const { child } = await start({ way: 'dial', reactors });
      child.process.send('now');
      assertExit(child, await child.exit(EXIT_GUARD_MS), 0);
      assert.match(child.output, /got ping\nclosed/);
    });

    it('SIGTERM closes gracefully, and the exit code is 0', async () => {
      for (const signal of ['SIGTERM', 'SIGINT'] as const) {
        const { child, url } = await start({ way: 'signals', reactors });
        const clients = await connect(url, 4);
        child.process.kill(signal);
        for (const client of clients) {
          assert.equal((await client.readToEnd()).end, 'end');
          client.close();
        }
        assertExit(child, await child.exit(EXIT_GUARD_MS), 0);
        assert.match(child.output, new RegExp(`got ${signal}`));
      }
    });

    it('a second SIGTERM does not wait for those who do not leave', async () => {
      const { child, url } = await start({ way: 'signals', reactors });
      const clients = await connect(url, 4);
      child.process.kill('SIGTERM');
      for (const client of clients) {
        assert.equal((await client.readToEnd()).end, 'end');
      }
      // One that follows within half a second counts as the same.
      child.process.kill('SIGTERM');
      await new Promise((resolve) => setTimeout(resolve, 600));
      assert.equal(child.process.exitCode, null);
      child.process.kill('SIGTERM');
      assertExit(child, await child.exit(EXIT_GUARD_MS), 0);
    });

    it('SIGKILL leaves nothing to peers but the end', async () => {
      const { child, url } = await start({ way: 'none', reactors });
      const clients = await connect(url, 3);
      child.process.kill('SIGKILL');
      assert.equal(await child.exit(EXIT_GUARD_MS), 'SIGKILL');
      await assertEnds(clients);
    });
  });

  describe(`the end of a thread that serves, ${reactors} reactor(s)`, () => {
    it('worker.terminate ends it at once with idle connections', async () => {
      const { child, url } = await start({ way: 'terminate', reactors });
      const clients = await connect(url, 6);
      child.process.send('now');
      assertExit(child, await child.exit(EXIT_GUARD_MS), EXIT_CODE);
      await assertEnds(clients);
    });

    it('worker.terminate ends it at once under load', async () => {
      for (let i = 0; i < TRIES_UNDER_LOAD; i += 1) {
        const { child, url } = await start({ way: 'terminate', reactors });
        const clients = await connect(url, 12);
        const loading = load(clients);
        child.process.send('now');
        assertExit(child, await child.exit(EXIT_GUARD_MS), EXIT_CODE);
        await loading;
      }
    });
  });
}

it('process.exit in a hook ends at once', async () => {
  const { child, url } = await start({ way: 'exit in a hook', reactors: 1 });
  const peer = await RawPeer.connect(url);
  peers.push(peer);
  peer.send('x');
  assertExit(child, await child.exit(EXIT_GUARD_MS), EXIT_CODE);
  await awaitCondition(() => peer.receive() !== undefined, 'the end');
});
