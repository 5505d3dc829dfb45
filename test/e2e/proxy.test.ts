/**
 * Scenario 6: a proxy whose back end is far slower than its clients. Memory stays flat, since the proxy stops reading
 * when it cannot write; nothing is lost, and the order is kept, in both directions.
 */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';

import type { PairData } from '../support/handlers/pair.js';
import type { PairLevel } from '../support/handlers/pair-order.js';
import { MemoryGrowth } from '../support/memory-growth.js';
import { noiseAt, noiseHash } from '../support/noise.js';
import { RawClient, RawListener } from '../support/raw-client.js';
import { ONE, onStage, SHAPES, Stage } from '../support/stage.js';
import { pauseFor, within } from '../support/until.js';

const STREAM = 64 * 1024 * 1024;
const REPLY = 3 * 1024 * 1024;
const PIECE = 200_000;
/** What the slow side takes at once, and how long it then rests: some hundredth of what the loopback carries. */
const SIP = 65_536;
const REST_MS = 2;
/** Of each sink: see handlers/pair.ts. */
const CAP = 262_144;
/** Far below the stream; above what garbage collection leaves lying about. */
const GROWTH_MAX = 40 * 1024 * 1024;

const OPTIONS = {
  whenFull: 'pause-source',
  writeQueueMax: CAP,
  allowHalfOpen: true,
  // Else the kernel, which would take 32 MiB, waits in the proxy's place.
  receiveBufferBytes: 262_144,
} as const;

async function send(client: RawClient, seed: number, byteLength: number): Promise<void> {
  for (let at = 0; at < byteLength; at += PIECE) {
    await client.send(noiseAt(seed, at, Math.min(PIECE, byteLength - at)));
  }
  client.halfClose();
}

/** Reads to the end with a rest after each sip; calls `look` now and then. */
async function sip(client: RawClient, look: () => Promise<void>): Promise<string> {
  const hash = createHash('sha256');
  let n = SIP;
  for (let i = 0; n === SIP; i += 1) {
    n = await client.drain((bytes) => hash.update(bytes), SIP);
    await pauseFor(REST_MS);
    if (i % 50 === 0) {
      await look();
    }
  }
  return hash.digest('hex');
}

async function levelsOf(stage: Stage): Promise<PairLevel[]> {
  return ((await stage.server.executeAll('levels')) as PairLevel[][]).flat();
}

for (const shape of SHAPES) {
  for (const pull of shape === ONE ? [false, true] : [false]) {
    it(`a proxy to a slow back end on ${shape.name}, ${pull ? 'pull' : 'push'}`, async () => {
      const backend = new RawListener({ receiveBufferBytes: 131_072 });
      const data: PairData = { pull, backend: backend.url };
      await onStage(Stage.open(shape, 'pair', OPTIONS, data), async (stage) => {
        const client = await stage.connect('tcp4', { sendBufferBytes: 131_072 });
        const served = await within('the proxy dials', backend.accept());
        const growth = new MemoryGrowth();
        let mostQueued = 0;
        const look = async () => {
          growth.look();
          for (const level of await levelsOf(stage)) {
            mostQueued = Math.max(mostQueued, level.mostQueued);
          }
        };

        const sending = send(client, 1, STREAM);
        assert.equal(await sip(served, look), noiseHash(1, STREAM));
        await sending;
        assert.ok(client.waits > 50, `the client had to wait ${client.waits} times`);
        assert.ok(mostQueued > 0 && mostQueued <= 2 * CAP, `${mostQueued} bytes were queued`);
        assert.ok(growth.byteLength < GROWTH_MAX, `memory grew by ${growth.byteLength} bytes`);

        const replying = send(served, 2, REPLY);
        assert.equal(await sip(client, look), noiseHash(2, REPLY));
        await replying;
        served.close();
        client.close();
        const { codes } = await stage.end();
        assert.deepEqual(codes, { ended: 2 });
      });
      backend.close();
    });
  }
}

describe('a proxy whose back end is gone', () => {
  for (const shape of SHAPES) {
    it(`resets the client when nobody listens, on ${shape.name}`, async () => {
      const backend = new RawListener();
      const data: PairData = { pull: false, backend: backend.url };
      backend.close();
      await onStage(Stage.open(shape, 'pair', OPTIONS, data), async (stage) => {
        const client = RawClient.connectNow(stage.url()) as RawClient;
        await within('the reset', client.readToReset());
        client.close();
        await stage.end();
      });
    });

    it(`ends the client when the back end resets in the middle, on ${shape.name}`, async () => {
      const backend = new RawListener();
      const data: PairData = { pull: false, backend: backend.url };
      await onStage(Stage.open(shape, 'pair', OPTIONS, data), async (stage) => {
        const client = await stage.connect();
        const served = await within('the proxy dials', backend.accept());
        const sending = send(client, 1, STREAM).catch(() => {});
        await served.read(1_000_000);
        served.reset();
        await within(
          'our end',
          client.drain(() => {}).catch(() => {}),
        );
        await within('the sending ends', sending);
        client.close();
        await stage.end();
      });
      backend.close();
    });
  }
});
