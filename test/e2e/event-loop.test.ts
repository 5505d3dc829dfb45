/** A reactor inside of Node's event loop: neither stands in the other's way, and when idle neither does anything. */

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';

import { type Server, serve } from '../../src/index.js';
import { awaitCondition, rounds } from '../support/await-condition.js';
import { ChildProgram } from '../support/child-program.js';
import type { LoopReport } from '../support/engine-handlers/loop-user.js';
import { voluntarySwitches } from '../support/process-figures.js';
import { RawPeer } from '../support/raw-peer.js';

const MODULE = new URL('../support/engine-handlers/loop-user.js', import.meta.url);
const RECEIVE_BYTES = 4_096;
/** Messages of the stream in one turn, at most: one more receive than the budget. */
const TURN_MESSAGES = 5;
/** The same with io_uring, which may have received as much as its buffers hold, in pieces of any size. */
const TURN_MESSAGES_AHEAD = 64;
/** Context switches of a quiet second: some of Node's own threads stir now and then. */
const SWITCHES_MAX = 5;

const servers: Server[] = [];
const peers: RawPeer[] = [];
const children: ChildProgram[] = [];

afterEach(async () => {
  for (const each of [...peers.splice(0)]) {
    each.close();
  }
  for (const child of children.splice(0)) {
    child.kill();
  }
  await Promise.all(servers.splice(0).map((server) => server.close({ deadlineMs: 0 })));
});

async function start(reactors: number): Promise<Server> {
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    handler: MODULE,
    reactors,
    receiveBytes: RECEIVE_BYTES,
    receiveBudget: RECEIVE_BYTES * (TURN_MESSAGES - 1),
  });
  servers.push(server);
  return server;
}

async function connect(url: string): Promise<RawPeer> {
  const peer = await RawPeer.connect(url);
  peers.push(peer);
  return peer;
}

const STREAM = Buffer.alloc(262_144, 's');

for (const reactors of [1, 3]) {
  describe(`Node's own loop while connections stream, ${reactors} reactor(s)`, () => {
    it('promises, nextTick, immediates and timers come in between', async () => {
      const server = await start(reactors);
      const streams: RawPeer[] = [];
      for (let i = 0; i < reactors; i += 1) {
        streams.push(await connect(server.addresses[0]!));
      }
      let reports: LoopReport[] = [];
      await awaitCondition(async () => {
        for (const stream of streams) {
          while (stream.send(STREAM) > 0) {
            // Never does the stream end.
          }
        }
        reports = (await server.executeAll('report')) as LoopReport[];
        return reports.every(({ done, messages }) => messages > 500 && (done.timer ?? 0) > 10);
      }, 'a long stream with many timers');
      const most = server.driver === 'uring' ? TURN_MESSAGES_AHEAD : TURN_MESSAGES;
      for (const { worst, done } of reports) {
        // Before the next message: a turn ends with its microtasks done.
        for (const kind of ['nextTick', 'microtask', '100 awaits'] as const) {
          assert.ok(worst[kind]! <= most, `${kind}: ${worst[kind]} messages`);
        }
        assert.ok(worst.immediate! <= 3 * most, `immediate: ${worst.immediate} messages`);
        assert.ok(done.immediate! > 0 && done.timer! > 0);
      }
    });

    it('an answer after timers and promises arrives, in its own context', async () => {
      const server = await start(reactors);
      for (let i = 1; i <= 6; i += 1) {
        const peer = await connect(server.addresses[0]!);
        peer.send('?'.repeat(i));
        const expected = `after ${i} await`;
        assert.equal((await peer.read(expected.length)).toString(), expected);
      }
    });
  });

  describe(`an idle server, ${reactors} reactor(s)`, () => {
    it('takes no turns, has no timers, and its threads are not woken', async () => {
      const child = new ChildProgram('idle-server', { reactors });
      children.push(child);
      const url = (await child.next()) as string;
      for (let i = 0; i < 10; i += 1) {
        await connect(url);
      }
      // The watchdog looks once more before it sleeps.
      await awaitCondition(async () => {
        const turns = await child.ask('turns');
        const switches = voluntarySwitches(child.pid);
        await new Promise((resolve) => setTimeout(resolve, 1_000));
        const isQuiet = voluntarySwitches(child.pid) - switches <= SWITCHES_MAX;
        return isQuiet && (await child.ask('turns')) === turns;
      }, 'a quiet second');
      const lists = (await child.ask('resources')) as string[][];
      assert.equal(lists.length, reactors + 1);
      assert.ok(!lists.flat().includes('Timeout'), lists.join('; '));
    });
  });
}

describe('a reactor in a loop that others use', () => {
  it('takes no turn for what is not its own', async () => {
    const server = await start(1);
    const peer = await connect(server.addresses[0]!);
    peer.send('?');
    await peer.read(13);
    await awaitCondition(async () => {
      const { turns } = server.stats.totals;
      await rounds(20);
      return server.stats.totals.turns === turns;
    }, 'the end of all turns');
    const { turns } = server.stats.totals;
    for (let i = 0; i < 50; i += 1) {
      await new Promise((resolve) => setTimeout(resolve));
      await rounds(10);
    }
    assert.equal(server.stats.totals.turns, turns);
  });
});
