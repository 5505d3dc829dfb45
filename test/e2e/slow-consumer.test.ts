/**
 * The other side of scenario 5: the handler takes what comes more slowly than it comes. What waits in the server is
 * bounded, the peer is held by its window, and nothing is lost up to its FIN.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import type { ConsumerData, ConsumerWay } from '../support/handlers/consumer.js';
import { SUMMARY_BYTES } from '../support/handlers/half-close-order.js';
import { noiseAt, noiseHash } from '../support/noise.js';
import { type Caller, type Kind, onStage, SHAPES, Stage } from '../support/stage.js';
import { within } from '../support/until.js';

const STREAM = 12 * 1024 * 1024;
const PIECE = 200_000;
const RECEIVE = 65_536;
const MARK = 65_536;
const UNREAD_MAX = 131_072;

const OPTIONS = {
  allowHalfOpen: true,
  readQueueMax: UNREAD_MAX,
  highWaterMark: MARK,
  receiveBytes: RECEIVE,
  // Else the kernel, which would take 32 MiB, holds what the server is to hold back.
  receiveBufferBytes: 262_144,
};

/** What may be received and not consumed: the mark, and the one receive that passes it. */
const BOUNDS: readonly { way: ConsumerWay; bound: number }[] = [
  { way: 'iterating', bound: MARK + RECEIVE },
  { way: 'pausing', bound: RECEIVE },
  { way: 'reading little', bound: UNREAD_MAX + RECEIVE },
];

async function send({ client }: Caller): Promise<void> {
  for (let at = 0; at < STREAM; at += PIECE) {
    await client.send(noiseAt(1, at, Math.min(PIECE, STREAM - at)));
  }
  client.halfClose();
}

async function expectSummary(stage: Stage, caller: Caller, bound: number): Promise<void> {
  const summary = await caller.client.read(SUMMARY_BYTES);
  assert.equal(summary.readDoubleBE(32), STREAM);
  assert.equal(summary.toString('hex', 0, 32), noiseHash(1, STREAM));
  const most = await stage.ask<number | undefined>(caller.id, 'mostWaitingOf');
  assert.ok(most === undefined || most <= bound, `${most} bytes waited`);
}

for (const shape of SHAPES) {
  describe(`slow consumers on ${shape.name}`, () => {
    for (const { way, bound } of BOUNDS) {
      it(`what waits is bounded, and all of it is consumed, ${way}`, async () => {
        const data: ConsumerData = { way };
        await onStage(Stage.open(shape, 'consumer', OPTIONS, data), async (stage) => {
          const kinds: Kind[] = ['tcp4', 'unix'];
          const small = { sendBufferBytes: 131_072 };
          const callers = await Promise.all(kinds.map((kind) => stage.call(kind, small)));
          const sendings = callers.map(send);
          for (const caller of callers) {
            await within('the summary', expectSummary(stage, caller, bound));
          }
          await Promise.all(sendings);
          for (const { client } of callers) {
            assert.ok(client.waits > 5, `the peer was held ${client.waits} times`);
          }
          const { blockBytes } = stage.server.stats.totals;
          assert.ok(
            blockBytes <= callers.length * (bound + RECEIVE),
            `${blockBytes} bytes of blocks`,
          );
          const { codes } = await stage.end();
          assert.deepEqual(codes, { ended: callers.length });
        });
      });
    }

    it('a connection that is paused from the start learns of a reset', async () => {
      const data: ConsumerData = { way: 'pausing at once' };
      await onStage(Stage.open(shape, 'consumer', OPTIONS, data), async (stage) => {
        const { client, id } = await stage.call();
        client.reset();
        assert.equal((await stage.closeOf(id)).code, 'reset');
        await stage.end();
      });
    });
  });
}
