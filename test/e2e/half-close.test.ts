/**
 * Scenario 3: the peer sends and then shuts its side down. Every byte arrives, then one end; the answer, which is
 * written after it, arrives too, then our end. With sizes above a turn's read budget and above the socket's buffers.
 */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';

import { encodeOrder, type Reply, SUMMARY_BYTES } from '../support/handlers/half-close-order.js';
import { noiseAt, noiseHash, randomCuts, randomOf } from '../support/noise.js';
import type { RawOptions } from '../support/raw-client.js';
import { type Caller, type Kind, ONE, onStage, SHAPES, Stage } from '../support/stage.js';
import { untilAnswer, within } from '../support/until.js';

/** Nothing, little, more than a turn's read budget (256 KiB), more than the largest socket buffer (4 MiB). */
const SIZES = [0, 1_000, 300_000, 5 * 1024 * 1024];

const OPEN = { allowHalfOpen: true, writeQueueMax: 16 * 1024 * 1024 };
const SHUT = { allowHalfOpen: false, writeQueueMax: 16 * 1024 * 1024 };

const REPLIES: readonly Reply[] = [
  'in onEnd',
  'in onDrain',
  'later',
  'corked across the end',
  'after a pause',
];

interface Received {
  readonly byteLength: number;
  readonly sha256: string;
  readonly lateResult: string;
}

/** Sends an order and a stream, then FIN. */
async function sendAll({ client }: Caller, reply: Reply, bytes: number, replyBytes: number) {
  const random = randomOf(`${reply} ${bytes}`);
  await client.send(encodeOrder(reply, replyBytes, 2));
  let at = 0;
  for (const size of randomCuts(random, bytes, 200_000)) {
    await client.send(noiseAt(1, at, size));
    at += size;
  }
  client.halfClose();
}

/** Reads an answer to the end and checks it. */
async function expectAnswer({ client }: Caller, bytes: number, replyBytes: number) {
  const summary = await client.read(SUMMARY_BYTES);
  assert.equal(summary.readDoubleBE(32), bytes, 'bytes received');
  assert.equal(summary.toString('hex', 0, 32), noiseHash(1, bytes));
  const hash = createHash('sha256');
  const total = await client.drain((piece) => hash.update(piece));
  assert.equal(total, replyBytes, 'bytes of the answer');
  assert.equal(hash.digest('hex'), noiseHash(2, replyBytes));
}

async function expectClosed(stage: Stage, { id }: Caller): Promise<void> {
  const { code, unsentBytes, wasEnded } = await stage.closeOf(id);
  assert.deepEqual(
    { code, unsentBytes, wasEnded },
    { code: 'ended', unsentBytes: 0, wasEnded: true },
  );
}

async function exchange(
  stage: Stage,
  kind: Kind,
  reply: Reply,
  sizes: { bytes: number; replyBytes: number },
  options: RawOptions = {},
): Promise<void> {
  const { bytes, replyBytes } = sizes;
  const caller = await stage.call(kind, options);
  // The answer is read only when all is sent: it has to wait in the server.
  await within('everything is sent', sendAll(caller, reply, bytes, replyBytes));
  if (reply === 'corked across the end') {
    assert.equal((await caller.client.read(5)).toString(), 'begun');
  }
  await within(`the answer ${reply}`, expectAnswer(caller, bytes, replyBytes));
  await expectClosed(stage, caller);
  caller.client.close();
}

for (const shape of SHAPES) {
  // How bytes reach the handler has nothing to do with threads.
  for (const pull of shape === ONE ? [false, true] : [false]) {
    describe(`the peer's FIN on ${shape.name}, ${pull ? 'pull' : 'push'}`, () => {
      it('everything arrives, and the answer, whenever it is written', async () => {
        await onStage(Stage.open(shape, 'half-close', OPEN, { pull }), async (stage) => {
          for (const reply of REPLIES) {
            for (const bytes of SIZES) {
              for (const kind of ['tcp4', 'unix'] as const) {
                const replyBytes = SIZES[(SIZES.indexOf(bytes) + 2) % SIZES.length]!;
                await exchange(stage, kind, reply, { bytes, replyBytes });
              }
            }
            const sizes = { bytes: 1_000, replyBytes: 6_000_000 };
            await exchange(stage, 'tcp6', reply, sizes, { receiveBufferBytes: 16_384 });
          }
          const { opened, ended } = await stage.end();
          assert.equal(ended, opened);
        });
      });

      it('everything arrives with tiny reads, and the answer, without allowHalfOpen', async () => {
        const options = { ...SHUT, receiveBytes: 1_024, receiveBudget: 4_096 };
        await onStage(Stage.open(shape, 'half-close', options, { pull }), async (stage) => {
          for (const bytes of SIZES) {
            for (const reply of ['in onEnd', 'after a pause'] as const) {
              await exchange(stage, 'tcp4', reply, { bytes, replyBytes: SIZES.at(-1)! });
              await exchange(stage, 'unix', reply, { bytes, replyBytes: bytes });
            }
          }
          const { opened, ended } = await stage.end();
          assert.equal(ended, opened);
        });
      });

      it('a write after the end says closed without allowHalfOpen, and what was before arrives', async () => {
        await onStage(Stage.open(shape, 'half-close', SHUT, { pull }), async (stage) => {
          for (const reply of ['later', 'corked across the end'] as const) {
            const caller = await stage.call();
            await sendAll(caller, reply, 300_000, 10);
            const answer = await within('our end', caller.client.readToEnd());
            assert.equal(answer.toString(), reply === 'later' ? '' : 'begun');
            await expectClosed(stage, caller);
            const { lateResult } = await untilAnswer(
              'the late write',
              () => stage.ask<Received>(caller.id, 'received'),
              (received) => received.lateResult !== '',
            );
            assert.equal(lateResult, 'closed');
          }
          await stage.end();
        });
      });

      it('everything arrives although our side ended first', async () => {
        await onStage(Stage.open(shape, 'half-close', SHUT, { pull }), async (stage) => {
          for (const bytes of SIZES) {
            const caller = await stage.call();
            const sending = sendAll(caller, 'none, we ended first', bytes, 0);
            assert.equal((await within('our end', caller.client.readToEnd())).byteLength, 0);
            await within('everything is sent', sending);
            await expectClosed(stage, caller);
            const received = await stage.ask<Received>(caller.id, 'received');
            assert.equal(received.byteLength, bytes);
            assert.equal(received.sha256, noiseHash(1, bytes));
          }
          await stage.end();
        });
      });

      it('the connection is half-closed until our end, and then closed', async () => {
        await onStage(Stage.open(shape, 'half-close', OPEN, { pull }), async (stage) => {
          const caller = await stage.call();
          await sendAll(caller, 'never', 1_000, 0);
          const ask = () => stage.ask<string>(caller.id, 'stateOf');
          await untilAnswer('the end is seen', ask, (state) => state === 'half-closed-remote');
          await stage.ask(caller.id, 'end');
          assert.equal((await within('our end', caller.client.readToEnd())).byteLength, 0);
          await expectClosed(stage, caller);
          await stage.end();
        });
      });

      it('a connection that stays half-open is closed at its deadline', async () => {
        const options = { ...OPEN, halfOpenTimeoutMs: 50 };
        await onStage(Stage.open(shape, 'half-close', options, { pull }), async (stage) => {
          const caller = await stage.call();
          await sendAll(caller, 'never', 1_000, 0);
          assert.equal((await within('our end', caller.client.readToEnd())).byteLength, 0);
          await expectClosed(stage, caller);
          await stage.end();
        });
      });
    });
  }
}
