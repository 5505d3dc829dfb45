/**
 * Scenario 1: everything that is sent comes back, in every combination of address, way of writing and shape of server.
 * Each case has several streams of random sizes at once, cut at random places or byte by byte.
 */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';

import type { Random } from '../sim/random.js';
import type { EchoData } from '../support/handlers/echo.js';
import { METHODS, type Method } from '../support/handlers/echo-methods.js';
import { noiseAt, noiseHash, randomCuts, randomOf } from '../support/noise.js';
import type { RawClient } from '../support/raw-client.js';
import type { WriteAnswer, WriteOrder } from '../support/remote-writer.js';
import { type Caller, KINDS, SHAPES, Stage } from '../support/stage.js';
import { pauseFor, within } from '../support/until.js';

const ECHOES = METHODS.filter((method) => method !== 'report');
/** Ways of writing after which all is written when the hook returns: the peer may send FIN right behind its bytes. */
const AT_ONCE: readonly Method[] = ['write', 'writev', 'writeOwned', 'corked', 'writer'];

/** Nothing is refused: the largest stream fits. What happens when it does not is in slow-reader.test.ts. */
const OPTIONS = { writeQueueMax: 16 * 1024 * 1024 };
const LARGEST = 4 * 1024 * 1024;

const ONE_GATHERED = { name: 'one reactor, with onBeforeWrite', reactors: 1, reusePort: false };
const ONE_PORT = { name: 'one reactor, reuse-port', reactors: 1, reusePort: true };

interface Stream {
  readonly seed: number;
  readonly length: number;
  readonly cuts: readonly number[];
}

let seeds = 0;

function stream(random: Random, length: number, most: number): Stream {
  seeds += 1;
  return { seed: seeds, length, cuts: randomCuts(random, length, most) };
}

/** An empty one, a small one byte by byte, and larger ones at random cuts. */
function drawStreams(random: Random): Stream[] {
  return [
    stream(random, 0, 1),
    stream(random, random.between(1, 1500), 1),
    stream(random, random.between(1, 65_536), 8_192),
    stream(random, Math.floor(random.logarithmic(65_536, LARGEST)), 200_000),
  ];
}

async function sendStream(client: RawClient, { seed, cuts }: Stream): Promise<void> {
  let at = 0;
  for (const size of cuts) {
    await client.send(noiseAt(seed, at, size));
    at += size;
  }
}

async function expectStream(client: RawClient, { seed, length }: Stream): Promise<void> {
  const hash = createHash('sha256');
  const total = await client.drain((bytes) => hash.update(bytes), length);
  assert.equal(total, length);
  assert.equal(hash.digest('hex'), noiseHash(seed, length));
}

async function expectEnd(client: RawClient): Promise<void> {
  assert.equal(await client.drain(() => {}), 0, 'more came than was sent');
}

async function echoOne(
  caller: Caller,
  method: Method,
  each: Stream,
  atOnce: boolean,
): Promise<void> {
  const { client } = caller;
  await client.send(Uint8Array.of(METHODS.indexOf(method)));
  const sending = sendStream(client, each);
  if (atOnce) {
    void sending.then(() => client.halfClose());
  }
  await expectStream(client, each);
  await sending;
  client.halfClose();
  await expectEnd(client);
}

for (const shape of [...SHAPES, ONE_PORT, ONE_GATHERED]) {
  describe(`echo on ${shape.name}`, () => {
    const data: EchoData = { beforeWrite: shape === ONE_GATHERED };
    let stage: Stage;
    let writer: Worker;

    before(async () => {
      stage = await Stage.open(shape, 'echo', OPTIONS, data);
      writer = new Worker(new URL('../support/remote-writer.js', import.meta.url), {
        workerData: stage.server.remoteHandle(),
      });
    });
    after(() => stage.discard());

    for (const kind of KINDS) {
      for (const method of ECHOES) {
        it(`sends back by ${method} what came on ${kind}`, async () => {
          const random = randomOf(`${shape.name} ${method} ${kind}`);
          const streams = drawStreams(random);
          const callers = await Promise.all(streams.map(() => stage.call(kind)));
          await within(
            'the streams come back',
            Promise.all(
              streams.map((each, i) => {
                const atOnce = AT_ONCE.includes(method) && random.chance(0.5);
                return echoOne(callers[i]!, method, each, atOnce);
              }),
            ),
          );
          for (const { id } of callers) {
            const { code, unsentBytes } = await stage.closeOf(id);
            assert.deepEqual({ code, unsentBytes }, { code: 'ended', unsentBytes: 0 });
          }
        });
      }

      for (const way of ['server.write', 'a remote handle in another thread'] as const) {
        it(`takes a stream and gets one by ${way} on ${kind}`, async () => {
          const random = randomOf(`${shape.name} ${way} ${kind}`);
          const streams = drawStreams(random);
          const callers = await Promise.all(streams.map(() => stage.call(kind)));
          const write = way === 'server.write' ? writeFromHere : writeFromWorker;
          await within(
            'the streams arrive',
            Promise.all(
              streams.map((each, i) => {
                const caller = callers[i]!;
                return Promise.all([
                  write(caller.id, each),
                  expectStream(caller.client, each),
                  sendReported(caller, each),
                ]);
              }),
            ),
          );
          for (const { client } of callers) {
            client.halfClose();
            await expectEnd(client);
          }
        });
      }
    }

    async function sendReported({ client, id }: Caller, each: Stream): Promise<void> {
      await client.send(Uint8Array.of(METHODS.indexOf('report')));
      await sendStream(client, each);
      for (;;) {
        const received = await stage.ask<{ byteLength: number; sha256: string }>(id, 'received');
        if (received.byteLength >= each.length) {
          assert.equal(received.byteLength, each.length);
          assert.equal(received.sha256, noiseHash(each.seed, each.length));
          return;
        }
        await pauseFor(1);
      }
    }

    async function writeFromHere(id: number, { seed, cuts }: Stream): Promise<void> {
      let at = 0;
      for (const size of cuts) {
        const piece = noiseAt(seed, at, size);
        let result = stage.server.write(id, piece);
        while (result === 'full') {
          await pauseFor(1);
          result = stage.server.write(id, piece);
        }
        assert.ok(result === 'queued' || (result === 'sent' && shape.reactors === 1), result);
        at += size;
      }
    }

    async function writeFromWorker(id: number, { seed, length, cuts }: Stream): Promise<void> {
      const answered = new Promise<WriteAnswer>((resolve) => {
        writer.on('message', function onAnswer(answer: WriteAnswer) {
          if (answer.id === id) {
            writer.off('message', onAnswer);
            resolve(answer);
          }
        });
      });
      writer.postMessage({ id, seed, cuts } satisfies WriteOrder);
      assert.deepEqual(await answered, { id, result: 'queued', byteLength: length });
    }

    it('gives every owned array back, closes every connection once and leaves nothing', async () => {
      writer.postMessage('exit');
      await once(writer, 'exit');
      for (const answer of await stage.server.executeAll('owned')) {
        const { owned, freed, gathered } = answer as Record<string, number>;
        assert.ok(owned! > 0);
        assert.equal(freed, owned);
        assert.equal(gathered! > 0, shape === ONE_GATHERED);
      }
      const { opened, codes } = await stage.end();
      assert.equal(opened, KINDS.length * (ECHOES.length + 2) * 4);
      assert.deepEqual(codes, { ended: opened });
      if (shape.reactors > 1) {
        assertSpread(stage);
      }
    });
  });
}

/** Every reactor had its share. */
function assertSpread(stage: Stage): void {
  for (const [index, { opened }] of stage.server.stats.reactors.entries()) {
    assert.ok(opened > 10, `reactor ${index} had ${opened} connections`);
  }
}
