/**
 * Scenario 8: two descriptors are ready together, and the hook of the first closes the second; then a new connection
 * gets the number of the closed one, before the event of that one is handled, or after. The event must not reach
 * anybody. In one thread the order is made by doing everything before the reactor has its turn; with a main acceptor a
 * gate holds the reactor in the hook until the number is in use again.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { type Deed, encodeOrder, GATE_BYTES, Gate } from '../support/handlers/batch-order.js';
import { HELLO_BYTES, reactorOf } from '../support/observed.js';
import { openDescriptors } from '../support/open-descriptors.js';
import { RawClient } from '../support/raw-client.js';
import { rawPoller } from '../support/raw-poller.js';
import { type Caller, ONE, onStage, Stage, THREE, THREE_PORTS } from '../support/stage.js';
import { nextRound, until, within } from '../support/until.js';

/** What makes the second descriptor ready. */
const EVENTS = ['bytes', 'FIN', 'RST'] as const;
type Event = (typeof EVENTS)[number];

function cause(event: Event, { client }: Caller): void {
  if (event === 'bytes') {
    client.trySend(encodeOrder('echo', 0));
  } else if (event === 'FIN') {
    client.halfClose();
  } else {
    client.reset();
  }
}

/** A peer, and the descriptor of the server's side. Both sides must be in this process, and nothing else going on. */
async function callKnown(stage: Stage): Promise<Caller & { fd: number }> {
  const before = openDescriptors();
  const caller = await stage.call();
  const added = [...openDescriptors().entries()].filter(
    ([fd, target]) => target.startsWith('socket:') && before.get(fd) !== target,
  );
  const [fd, ...others] = added.map(([number]) => number).filter((n) => n !== caller.client.fd);
  assert.equal(others.length, 0, "one descriptor is the server's");
  return { ...caller, fd: fd! };
}

function connectNow(stage: Stage): RawClient {
  const client = RawClient.connectNow(stage.url());
  assert.ok(typeof client !== 'number', `connect: ${String(client)}`);
  return client;
}

/** The new connection is itself, and nobody else's bytes have come to it. */
async function expectItself(client: RawClient): Promise<number> {
  const id = (await within('the hello', client.read(HELLO_BYTES))).readDoubleBE();
  await client.send(Buffer.concat([encodeOrder('echo', 0), Buffer.from('mine')]));
  const echo = await within('the echo', client.read(HELLO_BYTES + 4));
  assert.equal(echo.readDoubleBE(), id);
  assert.equal(echo.toString('latin1', HELLO_BYTES), 'mine');
  return id;
}

/** The closed one sees its end and not one byte. */
async function expectNothing({ client }: Caller, deed: Deed, event: Event): Promise<void> {
  if (event === 'RST') {
    return;
  }
  if (deed === 'abort') {
    assert.equal(await within('the reset', client.readToReset()), 0);
  } else {
    assert.equal(
      await within(
        'our end',
        client.drain(() => {}),
      ),
      0,
    );
    client.close();
  }
}

/** Takes all numbers below the highest in use, so that the next one to be closed is the next one to be given out. */
function plugGaps(): () => void {
  const { kernel } = rawPoller();
  const plugs: number[] = [];
  const highest = Math.max(...openDescriptors().keys());
  for (;;) {
    const fd = kernel.eventfd();
    if (fd > highest) {
      kernel.close(fd);
      return () => plugs.forEach((plug) => void kernel.close(plug));
    }
    plugs.push(fd);
  }
}

/** The driver with batches of readiness; io_uring frees a slot only after the last completion of its use. */
const EPOLL = { driver: 'epoll' } as const;

async function settle(): Promise<void> {
  for (let i = 0; i < 20; i += 1) {
    await nextRound();
  }
}

describe('a stale event in a batch on one reactor', () => {
  for (const isAcceptedFirst of [false, true]) {
    for (const event of EVENTS) {
      const order = isAcceptedFirst ? 'before its event is handled' : 'after its event was handled';
      it(`${event} of an aborted connection reach nobody; its number is used again ${order}`, async () => {
        await onStage(Stage.open(ONE, 'batch', EPOLL), async (stage) => {
          const first = await callKnown(stage);
          const second = await callKnown(stage);
          await settle();
          const stale = stage.server.stats.totals.staleEvents;
          // From here to the next await the reactor cannot run.
          first.client.trySend(encodeOrder('abort', second.id));
          let third: RawClient;
          if (isAcceptedFirst) {
            third = connectNow(stage);
            cause(event, second);
          } else {
            cause(event, second);
            third = connectNow(stage);
          }
          const id = await expectItself(third);
          assert.equal(stage.server.stats.totals.staleEvents, stale + 1);
          if (event !== 'RST') {
            // Else the peer's own number is free as well, and may be the lower one.
            assert.match(openDescriptors().get(second.fd) ?? 'free', /^socket:/);
          }
          await expectNothing(second, 'abort', event);
          const { code, bytesReceived } = await stage.closeOf(second.id);
          assert.deepEqual([code, bytesReceived], ['aborted', 0]);
          assert.notEqual(id, second.id);
          assert.equal(await stage.ask<number>(first.id, 'done'), 1);
          third.close();
          await stage.end();
        });
      });
    }
  }

  for (const event of EVENTS) {
    it(`${event} of a connection that another one closes in the same batch are not reported`, async () => {
      await onStage(Stage.open(ONE, 'batch', EPOLL), async (stage) => {
        const first = await stage.call();
        const second = await stage.call();
        await settle();
        first.client.trySend(encodeOrder('close', second.id));
        cause(event, second);
        await expectNothing(second, 'close', event);
        const { code, wasEnded } = await stage.closeOf(second.id);
        assert.equal(code, event === 'RST' ? code : 'closed');
        assert.equal(wasEnded, false);
        await stage.end();
      });
    });
  }
});

describe('a duplicate of a closed descriptor', () => {
  it('makes no events, as an inherited one in another process would', async () => {
    await onStage(Stage.open(ONE, 'batch', EPOLL), async (stage) => {
      const { kernel } = rawPoller();
      const first = await callKnown(stage);
      const second = await callKnown(stage);
      const duplicate = kernel.duplicate(second.fd);
      await first.client.send(encodeOrder('abort', second.id));
      assert.equal((await stage.closeOf(second.id)).code, 'aborted');
      // It has the slot of the closed one; the number lies below the duplicate's.
      const third = await stage.call();
      await settle();
      const { events } = stage.server.stats.totals;
      await second.client.send(encodeOrder('echo', 0));
      await settle();
      assert.equal(stage.server.stats.totals.events, events);
      kernel.close(duplicate);
      await third.client.send(encodeOrder('echo', 0));
      assert.equal((await third.client.read(HELLO_BYTES)).readDoubleBE(), third.id);
      await stage.end();
    });
  });
});

describe('a stale event in a batch on three reactors', () => {
  it('the main acceptor uses the number again while the event waits', async () => {
    const gate = new SharedArrayBuffer(GATE_BYTES);
    const words = new Int32Array(gate);
    await onStage(Stage.open(THREE, 'batch', EPOLL, { gate }), async (stage) => {
      for (const event of EVENTS) {
        words.fill(0);
        const [first, second] = (await stage.callSameReactor(2)) as [Caller, Caller];
        // The strangers that callSameReactor turned away are gone.
        await until('two are left', () => stage.server.stats.totals.connections === 2);
        const unplug = plugGaps();
        const before = openDescriptors();
        const held = stage.ask(first.id, 'hold');
        await until('the reactor is held', () => Atomics.load(words, Gate.held) === 1);
        first.client.trySend(encodeOrder('abort', second.id));
        cause(event, second);
        const third = connectNow(stage);
        release(words, Gate.letGo);
        // Blocks this thread, and with it the acceptor, until the connection is closed.
        Atomics.wait(words, Gate.done, 0, 5_000);
        const closed = [...before.keys()].filter((fd) => !openDescriptors().has(fd));
        assert.equal(closed.length, 1);
        await until('the number is used again', () =>
          closed.some((fd) => openDescriptors().has(fd)),
        );
        release(words, Gate.mayReturn);
        await expectItself(third);
        await expectNothing(second, 'abort', event);
        assert.equal((await stage.closeOf(second.id)).code, 'aborted');
        await held;
        unplug();
        first.client.close();
        third.close();
      }
      assert.ok(stage.server.stats.totals.staleEvents >= EVENTS.length);
      await stage.end();
    });
  });

  it('the listener of the same reactor uses the number again', async () => {
    const gate = new SharedArrayBuffer(GATE_BYTES);
    const words = new Int32Array(gate);
    await onStage(Stage.open(THREE_PORTS, 'batch', EPOLL, { gate }), async (stage) => {
      Atomics.store(words, Gate.mayReturn, 1);
      for (const event of [...EVENTS, ...EVENTS, ...EVENTS]) {
        const [first, second] = (await stage.callSameReactor(2)) as [Caller, Caller];
        Atomics.store(words, Gate.held, 0);
        Atomics.store(words, Gate.letGo, 0);
        const held = stage.ask(first.id, 'hold');
        await until('the reactor is held', () => Atomics.load(words, Gate.held) === 1);
        first.client.trySend(encodeOrder('abort', second.id));
        // About one in three of these belongs to the reactor that is held, behind what is ready there.
        const others = Array.from({ length: 12 }, () => connectNow(stage));
        cause(event, second);
        release(words, Gate.letGo);
        await Promise.all(others.map(expectItself));
        await expectNothing(second, 'abort', event);
        assert.equal((await stage.closeOf(second.id)).code, 'aborted');
        await held;
        for (const client of [first.client, ...others]) {
          client.close();
        }
      }
      assert.ok(stage.server.stats.totals.staleEvents >= EVENTS.length);
      await stage.end();
    });
  });

  it('a reactor finds its own connections by id, and no others', async () => {
    await onStage(Stage.open(THREE, 'batch', EPOLL), async (stage) => {
      const ids: number[] = [];
      for (let i = 0; i < 9; i += 1) {
        ids.push((await stage.call()).id);
      }
      const found = (await stage.server.executeAll('find', ids)) as (number | undefined)[][];
      for (const [index, answers] of found.entries()) {
        const own = ids.map((id) => (reactorOf(id) === index ? id : undefined));
        assert.deepEqual(answers, own, `reactor ${index}`);
      }
      await stage.end();
    });
  });
});

function release(words: Int32Array, word: number): void {
  Atomics.store(words, word, 1);
  Atomics.notify(words, word);
}
