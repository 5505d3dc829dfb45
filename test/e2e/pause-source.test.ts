/**
 * Scenario 5, the policy `pause-source`: who writes more than the other side takes is not read from any more. What is
 * queued stays below twice the cap, the source is held by its own window, and in the end nothing is missing, although
 * the handler never looks at what a write says.
 */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';

import { encodeOrder, type PairLevel, SINK, SOURCE } from '../support/handlers/pair-order.js';
import { noiseAt, noiseHash } from '../support/noise.js';
import type { RawOptions } from '../support/raw-client.js';
import { type Caller, NEVER_MS, onStage, SHAPES, Stage } from '../support/stage.js';
import { pauseFor, untilAnswer, within } from '../support/until.js';

/** Above everything that the kernel can hold for source and sink together. */
const STREAM = 24 * 1024 * 1024;
const CAP = 262_144;
const SEED = 11;
const PIECE = 100_000;
const SMALL: RawOptions = { receiveBufferBytes: 65_536 };

const OPTIONS = {
  whenFull: 'pause-source',
  writeQueueMax: CAP,
  allowHalfOpen: true,
} as const;

function levelOf(stage: Stage, { id }: Caller): Promise<PairLevel | undefined> {
  return stage.ask<PairLevel | undefined>(id, 'levelOf');
}

async function send({ client }: Caller): Promise<void> {
  for (let at = 0; at < STREAM; at += PIECE) {
    await client.send(noiseAt(SEED, at, Math.min(PIECE, STREAM - at)));
  }
  client.halfClose();
}

async function expectStream({ client }: Caller): Promise<void> {
  const hash = createHash('sha256');
  const total = await within(
    'the stream',
    client.drain((bytes) => hash.update(bytes)),
  );
  assert.equal(total, STREAM);
  assert.equal(hash.digest('hex'), noiseHash(SEED, STREAM));
}

/** A source and a sink of one reactor. */
async function callPair(stage: Stage): Promise<{ source: Caller; sink: Caller }> {
  const [sink, source] = (await stage.callSameReactor(2, 'tcp4', SMALL)) as [Caller, Caller];
  await sink.client.send(encodeOrder(SINK));
  await source.client.send(encodeOrder(SOURCE, sink.id));
  return { source, sink };
}

/** Resolves when the source has stopped: nothing of it was received for some rounds. */
async function untilHeld(stage: Stage, source: Caller, sink: Caller): Promise<PairLevel> {
  let before = -1;
  let same = 0;
  const level = await untilAnswer(
    'the source is held',
    async () => {
      await pauseFor(2);
      const received = (await levelOf(stage, source))!.bytesReceived;
      same = received === before ? same + 1 : 0;
      before = received;
      return (await levelOf(stage, sink))!;
    },
    ({ queuedBytes }) => queuedBytes > 0 && same >= 20,
  );
  return level;
}

async function refusalsOf(stage: Stage): Promise<number> {
  const counts = (await stage.server.executeAll('refusals')) as number[];
  return counts.reduce((sum, n) => sum + n, 0);
}

for (const shape of SHAPES) {
  for (const pull of [false, true]) {
    describe(`pause-source on ${shape.name}, ${pull ? 'pull' : 'push'}`, () => {
      it('a sink that does not read holds its source, and nothing is lost', async () => {
        await onStage(Stage.open(shape, 'pair', OPTIONS, { pull }), async (stage) => {
          const { source, sink } = await callPair(stage);
          const sending = send(source);
          const level = await untilHeld(stage, source, sink);
          assert.ok(level.mostQueued <= 2 * CAP, `${level.mostQueued} bytes were queued`);
          assert.ok((await levelOf(stage, source))!.bytesReceived < STREAM / 2);
          await expectStream(sink);
          await sending;
          assert.equal(await refusalsOf(stage), 0);
          sink.client.close();
          source.client.close();
          assert.equal((await stage.closeOf(sink.id)).unsentBytes, 0);
          await stage.end();
        });
      });

      it('a held source is let go when its sink is gone', async () => {
        await onStage(Stage.open(shape, 'pair', OPTIONS, { pull }), async (stage) => {
          const { source, sink } = await callPair(stage);
          const sending = send(source);
          await untilHeld(stage, source, sink);
          sink.client.reset();
          assert.equal((await stage.closeOf(sink.id)).code, 'reset');
          // The handler closes the source: it is read to its end, and dropped.
          await within('the source can send everything', sending);
          await within(
            'our end',
            source.client.drain(() => {}),
          );
          source.client.close();
          assert.equal((await stage.closeOf(source.id)).code, 'closed');
          await stage.end();
        });
      });

      it('a held source does not hold up the close of the server', async () => {
        await onStage(Stage.open(shape, 'pair', OPTIONS, { pull }), async (stage) => {
          const { source, sink } = await callPair(stage);
          const sending = send(source).catch(() => {});
          await untilHeld(stage, source, sink);
          const closing = stage.server.close({ deadlineMs: NEVER_MS });
          const total = await within(
            'what was queued',
            sink.client.drain(() => {}),
          );
          assert.ok(total > 0 && total < STREAM);
          sink.client.close();
          await within(
            'our end',
            source.client.drain(() => {}),
          );
          await within('the rest of the source', sending);
          await within('the server closes', closing);
        });
      });

      it('a held source that resets is noticed', async () => {
        await onStage(Stage.open(shape, 'pair', OPTIONS, { pull }), async (stage) => {
          const { source, sink } = await callPair(stage);
          const sending = send(source).catch(() => {});
          await untilHeld(stage, source, sink);
          source.client.reset();
          await sending;
          assert.equal((await stage.closeOf(source.id)).code, 'reset');
          // The handler closes the sink: what was queued still arrives.
          const total = await within(
            'the rest',
            sink.client.drain(() => {}),
          );
          assert.ok(total > 0);
          sink.client.close();
          assert.equal((await stage.closeOf(sink.id)).code, 'closed');
          await stage.end();
        });
      });
    });
  }
}
