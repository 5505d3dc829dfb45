/**
 * Scenario 4: our side closes while much is unsent. It is flushed after `close` and dropped after `abort`, exactly as
 * asked; a peer that never reads holds nobody up and is cut off at the linger deadline.
 */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';

import type { ServeOptions } from '../../src/index.js';
import {
  CODES,
  codesIn,
  type Ending,
  encodeOrder,
  SEED,
} from '../support/handlers/closing-order.js';
import { noise, noiseAt, noiseHash } from '../support/noise.js';
import { HELLO_BYTES } from '../support/observed.js';
import type { RawClient, RawOptions } from '../support/raw-client.js';
import {
  type Caller,
  type Kind,
  NEVER_MS,
  onStage,
  SHAPES,
  type Shape,
  Stage,
} from '../support/stage.js';
import { until, untilAnswer, within } from '../support/until.js';

/** Above all socket buffers, so that most of it is queued in the server. */
const OUTPUT = 8 * 1024 * 1024;
const TINY: RawOptions = { receiveBufferBytes: 4_096 };

interface Scene {
  readonly stage: Stage;
  /** How many connections closed for each reason; see `codesIn`. */
  readonly memory: SharedArrayBuffer;
}

async function onScene(
  shape: Shape,
  options: Partial<ServeOptions>,
  scenario: (scene: Scene) => Promise<void>,
): Promise<void> {
  const memory = new SharedArrayBuffer(4 * CODES.length);
  const opening = Stage.open(shape, 'closing', options, { memory });
  await onStage(opening, (stage) => scenario({ stage, memory }));
}

async function order(
  stage: Stage,
  ending: Ending,
  kind: Kind = 'tcp4',
  options: RawOptions = TINY,
  output = OUTPUT,
) {
  const caller = await stage.call(kind, options);
  await caller.client.send(encodeOrder(ending, output));
  return caller;
}

async function untilStateIs(stage: Stage, { id }: Caller, state: string): Promise<void> {
  await untilAnswer(
    state,
    () => stage.ask<string>(id, 'stateOf'),
    (answer) => answer === state,
  );
}

async function expectOutput(client: RawClient): Promise<void> {
  const hash = createHash('sha256');
  const total = await within(
    'the output',
    client.drain((bytes) => hash.update(bytes)),
  );
  assert.equal(total, OUTPUT);
  assert.equal(hash.digest('hex'), noiseHash(SEED, OUTPUT));
}

/** All arrays that were given away are free. */
async function expectFreed(stage: Stage): Promise<void> {
  const counts = (await stage.server.executeAll('owned')) as { owned: number; freed: number }[];
  assert.ok(counts.some(({ owned }) => owned > 0));
  for (const { owned, freed } of counts) {
    assert.equal(freed, owned);
  }
}

/** Sends for as long as the peer takes it, whatever it is. */
async function sendWithoutEnd(client: RawClient): Promise<void> {
  try {
    for (let at = 0; client.isOpen; at += 65_536) {
      await client.send(noiseAt(1, at, 65_536));
    }
  } catch {
    // The other side is gone, or this one.
  }
}

/** Round trips on a connection until told to stop; answers how many there were. */
async function pingUntil({ client }: Caller, isOver: () => boolean): Promise<number> {
  await client.send(encodeOrder('echo', 0));
  let n = 0;
  while (!isOver()) {
    const ping = Buffer.from(`ping ${n}`.padEnd(100));
    await client.send(ping);
    assert.deepEqual(await within('a ping', client.read(100)), ping);
    n += 1;
  }
  return n;
}

for (const shape of SHAPES) {
  describe(`local close on ${shape.name}`, () => {
    it('everything unsent is flushed after close, end and the action', async () => {
      const options = { writeQueueMax: OUTPUT };
      await onScene(shape, options, async ({ stage }) => {
        const endings = [
          'close',
          'action',
          'close later',
          'close corked',
          'close pieces',
          'close paused',
          'end',
        ] as const;
        for (const ending of endings) {
          for (const kind of ['tcp4', 'unix'] as const) {
            const caller = await order(stage, ending, kind);
            await untilStateIs(stage, caller, ending === 'end' ? 'half-closed-local' : 'closing');
            assert.ok(
              (await stage.ask<number>(caller.id, 'queuedBytesOf')) > 0,
              'it must be unsent',
            );
            await expectOutput(caller.client);
            caller.client.close();
            const { code, unsentBytes, bytesSent } = await stage.closeOf(caller.id);
            assert.deepEqual(
              { code, unsentBytes, bytesSent },
              {
                code: ending === 'end' ? 'ended' : 'closed',
                unsentBytes: 0,
                bytesSent: OUTPUT + HELLO_BYTES,
              },
              ending,
            );
          }
        }
        await expectFreed(stage);
        await stage.end();
      });
    });

    it('the peer gets all of it while it goes on sending what nobody reads', async () => {
      await onScene(shape, {}, async ({ stage }) => {
        for (const kind of ['tcp4', 'tcp6', 'unix'] as const) {
          const caller = await order(stage, 'close', kind);
          const sending = sendWithoutEnd(caller.client);
          await expectOutput(caller.client);
          caller.client.close();
          await sending;
          assert.equal((await stage.closeOf(caller.id)).code, 'closed');
        }
        await stage.end();
      });
    });

    it('a peer that got everything and never ends its side is let go at the linger deadline', async () => {
      await onScene(shape, { lingerTimeoutMs: 100 }, async ({ stage }) => {
        // Little enough for the kernel to take it at once, however slow the peer is.
        const caller = await order(stage, 'close', 'tcp4', {}, 1_000);
        assert.deepEqual(await within('the output', caller.client.readToEnd()), noise(SEED, 1_000));
        const { code, timeout, unsentBytes } = await stage.closeOf(caller.id);
        assert.deepEqual([code, timeout, unsentBytes], ['closed', undefined, 0]);
        await stage.end();
      });
    });

    it('abort drops what is unsent and resets the peer', async () => {
      await onScene(shape, {}, async ({ stage }) => {
        for (const kind of ['tcp4', 'tcp6', 'unix', 'unix-abstract'] as const) {
          const { client, id } = await order(stage, 'abort', kind);
          const { code, unsentBytes, bytesSent } = await stage.closeOf(id);
          assert.equal(code, 'aborted');
          assert.ok(unsentBytes > 0);
          assert.equal(unsentBytes + bytesSent, OUTPUT + HELLO_BYTES);
          // A Unix socket knows no reset: what it took is still there to be read.
          const reading = kind.startsWith('unix') ? client.drain(() => {}) : client.readToReset();
          assert.ok((await within('the end', reading)) < OUTPUT);
        }
        await expectFreed(stage);
        await stage.end();
      });
    });

    it('a dead peer is cut off at the linger deadline while others are served', async () => {
      await onScene(shape, { lingerTimeoutMs: 1_000 }, async ({ stage }) => {
        const [dead, ...others] = await stage.callSameReactor(4, 'tcp4', TINY);
        let isOver = false;
        const pings = others.map((caller) => pingUntil(caller, () => isOver));
        await dead!.client.send(encodeOrder('close', OUTPUT));
        const { code, timeout, unsentBytes, bytesSent } = await stage.closeOf(dead!.id);
        isOver = true;
        assert.deepEqual([code, timeout], ['timeout', 'linger']);
        assert.ok(unsentBytes > 0);
        assert.equal(unsentBytes + bytesSent, OUTPUT + HELLO_BYTES);
        for (const n of await Promise.all(pings)) {
          assert.ok(n > 5, `another connection was served ${n} times`);
        }
        await within('the reset', dead!.client.readToReset());
        assert.equal(stage.server.stats.totals.timeoutLinger, 1);
        await stage.end();
      });
    });

    it('a paused connection that closes waits for its peer, not for the deadline', async () => {
      await onScene(shape, {}, async ({ stage, memory }) => {
        const callers = await Promise.all([1, 2, 3].map(() => order(stage, 'paused', 'tcp4', {})));
        for (const caller of callers) {
          const ask = () => stage.ask<boolean>(caller.id, 'isPaused');
          await untilAnswer('it is paused', ask, (isPaused) => isPaused);
        }
        const closing = stage.server.close({ deadlineMs: NEVER_MS });
        for (const { client } of callers) {
          await expectOutput(client);
          client.close();
        }
        await within('the server closes', closing);
        assert.deepEqual(codesIn(memory), { shutdown: 3 });
      });
    });

    it('a close of the server flushes to who reads, and a hurried one cuts off who does not', async () => {
      await onScene(shape, {}, async ({ stage, memory }) => {
        const dead = await Promise.all([1, 2].map(() => order(stage, 'paused')));
        const alive = await Promise.all([1, 2].map(() => order(stage, 'paused')));
        for (const caller of [...dead, ...alive]) {
          await untilAnswer(
            'its output is queued',
            () => stage.ask<number>(caller.id, 'queuedBytesOf'),
            (n) => n > 0,
          );
        }
        const closing = stage.server.close({ deadlineMs: NEVER_MS });
        for (const { client } of alive) {
          await expectOutput(client);
          client.close();
        }
        await until('two are left', () => stage.server.stats.totals.connections === 2);
        void stage.server.close({ deadlineMs: 50 });
        await within('the server closes', closing);
        for (const { client } of dead) {
          await within('the reset', client.readToReset());
        }
        assert.deepEqual(codesIn(memory), { shutdown: 4 });
        const { connections, opened, closed } = stage.server.stats.totals;
        assert.deepEqual([connections, opened, closed], [0, 4, 4]);
      });
    });
  });
}
