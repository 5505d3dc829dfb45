/**
 * Scenario 5: peers that stop reading. What waits for them is bounded by the marks and the cap, others are served as
 * before, and when they read again nothing is missing. When the cap is passed, the policy decides.
 */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';

import { encodeOrder, type Level, type Pace, SEED } from '../support/handlers/firehose-order.js';
import { MemoryGrowth } from '../support/memory-growth.js';
import { noiseAt, noiseHash } from '../support/noise.js';
import { HELLO_BYTES } from '../support/observed.js';
import type { RawOptions } from '../support/raw-client.js';
import { type Caller, ONE, onStage, SHAPES, type Shape, Stage } from '../support/stage.js';
import { untilAnswer, within } from '../support/until.js';

const STREAM = 4 * 1024 * 1024;
const PIECE = 10_000;
const CAP = 262_144;
const MARK = 65_536;
/** So many that their streams together are far more than MEMORY_SLACK. */
const MANY = 64;
const SOME = 12;
const TINY: RawOptions = { receiveBufferBytes: 32_768 };
/** What each way of waiting may have queued. */
const BOUNDS: readonly { pace: Pace; bound: number }[] = [
  { pace: 'until full', bound: CAP },
  { pace: 'until marked', bound: MARK + PIECE },
  { pace: 'drained', bound: MARK + PIECE },
  { pace: 'receipt', bound: PIECE },
];
/** A connection's last block is not full, and its first one not all unsent. */
const BLOCK_SLACK = 65_536;
/** What the program may grow by beside what is queued: garbage that nobody has collected yet, mostly. */
const MEMORY_SLACK = 64 * 1024 * 1024;

function levelOf(stage: Stage, { id }: Caller): Promise<Level | undefined> {
  return stage.ask<Level | undefined>(id, 'levelOf');
}

/** A peer that orders a stream and does not read. */
async function orderSlowly(stage: Stage, pace: Pace): Promise<Caller> {
  const caller = await stage.call('tcp4', TINY);
  await caller.client.send(encodeOrder(pace, STREAM, PIECE));
  return caller;
}

async function untilWaiting(stage: Stage, caller: Caller): Promise<Level> {
  const level = await untilAnswer(
    'the stream waits for its peer',
    () => levelOf(stage, caller),
    // Asked within a turn it may be about to go on, with nothing queued any more.
    (answer) => answer?.isWaiting === true && answer.queuedBytes > 0,
  );
  return level!;
}

async function expectStream({ client }: Caller): Promise<void> {
  const hash = createHash('sha256');
  const total = await within(
    'the rest of the stream',
    client.drain((bytes) => hash.update(bytes)),
  );
  assert.equal(total, STREAM);
  assert.equal(hash.digest('hex'), noiseHash(SEED, STREAM));
}

/** Round trips on each reactor. */
async function expectService(stage: Stage, rounds: number): Promise<void> {
  const callers = await Promise.all([1, 2, 3, 4, 5, 6].map(() => stage.call()));
  for (const { client } of callers) {
    await client.send(encodeOrder('echo', 0, 0));
    for (let i = 0; i < rounds; i += 1) {
      const ping = Buffer.from(`ping ${i}`.padEnd(1_000));
      await client.send(ping);
      assert.deepEqual(await within('a round trip', client.read(1_000)), ping);
    }
    client.close();
  }
}

/** With a send buffer that the kernel does not grow as it likes: what it takes depends on what it saw before. */
const LIMITS = { writeQueueMax: CAP, sendBufferBytes: 65_536 };

for (const shape of SHAPES) {
  describe(`slow readers on ${shape.name}`, () => {
    for (const { pace, bound } of BOUNDS) {
      it(`what waits is bounded, others are served, nothing is lost: ${pace}`, async () => {
        await onStage(Stage.open(shape, 'firehose', LIMITS), async (stage) => {
          const growth = new MemoryGrowth();
          const peers = shape === ONE && pace === 'until full' ? MANY : SOME;
          const ordering = Array.from({ length: peers }, () => orderSlowly(stage, pace));
          const slow = await Promise.all(ordering);
          for (const caller of slow) {
            const level = await untilWaiting(stage, caller);
            assert.ok(level.mostQueued <= bound, `${level.mostQueued} bytes were queued`);
            assert.equal(level.refusals > 0, pace === 'until full');
          }
          await expectService(stage, 50);
          const { blockBytes, queuedBytes } = stage.server.stats.totals;
          assert.ok(queuedBytes <= peers * bound, `${queuedBytes} bytes are queued`);
          assert.ok(blockBytes <= peers * (bound + BLOCK_SLACK), `${blockBytes} bytes of blocks`);
          growth.look();
          const most = peers * bound + MEMORY_SLACK;
          assert.ok(growth.byteLength < most, `${growth.byteLength} bytes of memory`);
          await Promise.all(slow.map(expectStream));
          for (const { client, id } of slow) {
            client.close();
            const { code, unsentBytes } = await stage.closeOf(id);
            assert.deepEqual([code, unsentBytes], ['ended', 0]);
          }
          await stage.end();
        });
      });
    }

    it('the policy close resets the slow peer, and it alone', async () => {
      const options = { ...LIMITS, whenFull: 'close' } as const;
      await onStage(Stage.open(shape, 'firehose', options), async (stage) => {
        const slow = await Promise.all([1, 2, 3].map(() => orderSlowly(stage, 'until closed')));
        for (const { client, id } of slow) {
          const { code, unsentBytes, bytesSent } = await stage.closeOf(id);
          assert.equal(code, 'overflow');
          assert.ok(
            unsentBytes > CAP - PIECE && unsentBytes <= CAP,
            `${unsentBytes} bytes were unsent`,
          );
          assert.ok(bytesSent + unsentBytes < STREAM + HELLO_BYTES);
          await within('the reset', client.readToReset());
        }
        assert.equal(stage.server.stats.totals.refusedWriteOverflow, 3);
        await expectService(stage, 5);
        await stage.end();
      });
    });

    it('a write from another thread that finds no room closes: a stream has no holes', async () => {
      await onStage(Stage.open(shape, 'firehose', LIMITS), (stage) => overfill(stage, shape));
    });
  });
}

/** Writes far more by id than the queue holds while the peer does not read. */
async function overfill(stage: Stage, shape: Shape): Promise<void> {
  const { client, id } = await stage.call('tcp4', TINY);
  let taken = 0;
  let result = '';
  for (let at = 0; at < STREAM && result !== 'full'; at += PIECE) {
    result = stage.server.write(id, noiseAt(SEED, at, PIECE));
    taken += result === 'full' ? 0 : PIECE;
  }
  if (shape.reactors === 1) {
    // The same thread: the answer is the connection's own, and nothing of it was taken.
    assert.equal(result, 'full');
    const received = Buffer.alloc(taken);
    let at = 0;
    await client.drain((bytes) => {
      at += bytes.copy(received, at);
    }, taken);
    assert.ok(received.equals(wholeStream().subarray(0, taken)));
  } else {
    // From afar it is taken, as the answer said, and must be sent or the connection must end.
    assert.equal(result, 'queued');
    const { code, unsentBytes } = await stage.closeOf(id);
    assert.equal(code, 'overflow');
    assert.ok(unsentBytes <= CAP);
    await within('the reset', client.readToReset());
    assert.equal(stage.server.stats.totals.refusedWriteOverflow, 1);
  }
  await stage.end();
}

function wholeStream(): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at < STREAM; at += PIECE) {
    pieces.push(noiseAt(SEED, at, PIECE));
  }
  return Buffer.concat(pieces);
}
