/**
 * Scenario 2: a server of frames of 64 B to 1 MiB, which arrive in batches of 1 to 200 in one write. The handler takes
 * one frame for each call of its hook and must still get the rest, without another byte from the peer; also when FIN
 * is right behind the last frame.
 */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';

import type { Random } from '../sim/random.js';
import type { FramedData } from '../support/handlers/framed.js';
import { ACK_BYTES, ACK_HASH_BYTES, HEADER_BYTES } from '../support/handlers/framed-layout.js';
import { noise, randomCuts, randomOf } from '../support/noise.js';
import { type Caller, onStage, SHAPES, Stage } from '../support/stage.js';
import { within } from '../support/until.js';

const SMALLEST = 64;
/** With its header exactly what a reader holds by default (`readQueueMax`). */
const LARGEST = 1024 * 1024 - HEADER_BYTES;
const BYTES_A_CONNECTION = 6 * 1024 * 1024;
const BATCH_MAX = 200;

/** Nothing is refused: a peer that sends a batch of 200 and reads later is owed all of the answers. */
const OPTIONS = { writeQueueMax: 64 * 1024 * 1024 };

function frame(seed: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + length);
  bytes.writeUInt32BE(length);
  noise(seed, length).copy(bytes, HEADER_BYTES);
  return bytes;
}

/** Batches of frames, with the extremes among them. */
function drawBatches(random: Random): Buffer[][] {
  const batches: Buffer[][] = [[frame(1, LARGEST)], [frame(2, SMALLEST)]];
  let rest = BYTES_A_CONNECTION;
  let seed = 3;
  while (rest > 0) {
    const count = Math.ceil(random.logarithmic(1, BATCH_MAX));
    const largest = Math.max(SMALLEST, Math.min(LARGEST, (rest / count) * 3));
    const batch: Buffer[] = [];
    for (let i = 0; i < count; i += 1) {
      const length = Math.floor(random.logarithmic(SMALLEST, largest));
      batch.push(frame(seed, length));
      seed += 1;
      rest -= length;
    }
    batches.push(batch);
  }
  return batches;
}

/** What a handler answers to these frames. */
function answersTo(batches: readonly Buffer[][], answer: FramedData['answer']): Buffer {
  const frames = batches.flat();
  if (answer === 'echo') {
    return Buffer.concat(frames);
  }
  return Buffer.concat(
    frames.map((bytes, i) => {
      const ack = Buffer.alloc(ACK_BYTES);
      ack.writeUInt32BE(i, 0);
      ack.writeUInt32BE(bytes.byteLength - HEADER_BYTES, 4);
      const hash = createHash('sha256').update(bytes.subarray(HEADER_BYTES)).digest();
      hash.copy(ack, 8, 0, ACK_HASH_BYTES);
      return ack;
    }),
  );
}

/** Sends each batch in one piece, FIN right behind the last one, and reads all answers meanwhile. */
async function exchange(
  { client }: Caller,
  pieces: readonly Buffer[],
  expected: Buffer,
): Promise<void> {
  const sending = (async () => {
    for (const piece of pieces) {
      await client.send(piece);
    }
    client.halfClose();
  })();
  const received = await client.readToEnd();
  await sending;
  assert.equal(received.byteLength, expected.byteLength);
  assert.ok(received.equals(expected), 'the answers differ');
}

interface Counts {
  readonly taken: number;
  readonly incomplete: number;
  readonly leftOver: number;
}

async function countsOf(stage: Stage): Promise<Counts> {
  const all = (await stage.server.executeAll('counts')) as Counts[];
  const sum = (name: keyof Counts) => all.reduce((total, counts) => total + counts[name], 0);
  return { taken: sum('taken'), incomplete: sum('incomplete'), leftOver: sum('leftOver') };
}

const DATA: readonly FramedData[] = [
  { answer: 'ack', pause: false },
  { answer: 'echo', pause: false },
  { answer: 'ack', pause: true },
];

for (const shape of SHAPES) {
  describe(`frames on ${shape.name}`, () => {
    for (const data of DATA) {
      const name = `${data.answer}${data.pause ? ', a pause after each' : ''}`;

      it(`takes frames one by one, in batches: ${name}`, async () => {
        const random = randomOf(`framed ${shape.name} ${name}`);
        await onStage(Stage.open(shape, 'framed', OPTIONS, data), async (stage) => {
          const drawn = [drawBatches(random), drawBatches(random), drawBatches(random)];
          const kinds = ['tcp4', 'tcp6', 'unix'] as const;
          const callers = await Promise.all(kinds.map((kind) => stage.call(kind)));
          const exchanges = callers.map((caller, i) => {
            const pieces = drawn[i]!.map((batch) => Buffer.concat(batch));
            return exchange(caller, pieces, answersTo(drawn[i]!, data.answer));
          });
          await within('all frames are answered', Promise.all(exchanges));
          const { taken, leftOver } = await countsOf(stage);
          assert.equal(taken, drawn.flat(2).length);
          assert.equal(leftOver, 0);
          const { codes } = await stage.end();
          assert.deepEqual(codes, { ended: 3 });
        });
      });
    }

    it('takes frames that arrive in pieces, down to single bytes', async () => {
      const random = randomOf(`framed pieces ${shape.name}`);
      const data: FramedData = { answer: 'ack', pause: false };
      await onStage(Stage.open(shape, 'framed', OPTIONS, data), async (stage) => {
        const batches = [[64, 65, 100, 4096].map((length, i) => frame(i, length))];
        const whole = Buffer.concat(batches.flat());
        const expected = answersTo(batches, 'ack');
        const bytewise = Array.from(whole, (byte) => Buffer.of(byte));
        let at = 0;
        const random20 = randomCuts(random, whole.byteLength, 50).map((size) => {
          at += size;
          return whole.subarray(at - size, at);
        });
        for (const pieces of [bytewise, random20]) {
          await within('the frames are answered', exchange(await stage.call(), pieces, expected));
        }
        await stage.end();
      });
    });

    it('closes a connection whose frame is larger than its reader may hold, and it alone', async () => {
      const data: FramedData = { answer: 'ack', pause: false };
      await onStage(Stage.open(shape, 'framed', OPTIONS, data), async (stage) => {
        const { client, id } = await stage.call();
        // By more than one receive: what comes with the last of these may still be seen.
        const sending = client.send(frame(1, LARGEST + 100_000)).catch(() => {});
        assert.equal((await stage.closeOf(id)).code, 'overflow');
        await within('the reset', client.readToReset());
        await sending;
        const batches = [[frame(2, LARGEST)]];
        await exchange(await stage.call(), batches.flat(), answersTo(batches, 'ack'));
        await stage.end();
      });
    });

    it('reports what an early FIN cuts off as unread, and answers what came before', async () => {
      const data: FramedData = { answer: 'ack', pause: false };
      await onStage(Stage.open(shape, 'framed', OPTIONS, data), async (stage) => {
        const batches = [[frame(1, 70_000), frame(2, 64)]];
        const whole = Buffer.concat([...batches.flat(), frame(3, 1000).subarray(0, 500)]);
        const exchanged = exchange(await stage.call(), [whole], answersTo(batches, 'ack'));
        await within('the whole frames are answered', exchanged);
        assert.deepEqual((await countsOf(stage)).leftOver, 500);
        await stage.end();
      });
    });
  });
}
