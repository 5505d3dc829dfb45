/**
 * Frames on the simulated kernel: tiny buffers, segments of a few bytes, delays, all from a seed. An echo that pauses
 * when it likes and whenever its peer does not read loses no frame, and sends none twice; the end comes after all.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import {
  delimited,
  encodeFrame,
  type FramedConnection,
  framed,
  lengthField,
  varintLength,
} from '../../src/codec/index.js';
import { Random } from '../sim/random.js';
import { SimRig } from '../support/reactor-rig.js';

const SEEDS = 40;
const FRAME_MAX = 300;
const LONG = 1_000_000_000;

const CODECS = [
  lengthField({ lengthBytes: 2, maxFrameBytes: FRAME_MAX + 2 }),
  varintLength({ maxFrameBytes: FRAME_MAX }),
  delimited(['\r\n', '\n'], { maxFrameBytes: FRAME_MAX }),
  delimited(['END', 'NED'], { maxFrameBytes: FRAME_MAX }),
] as const;

type Peer = FramedConnection<Uint8Array | string, Buffer | undefined>;

async function play(seed: number, resetChance: number) {
  const random = new Random(seed, 5);
  const codec = random.pick([...CODECS]);
  const restless = random.pick([0, 2, 5]);
  let open = 0;
  let pauses = 0;
  const handler = framed<Buffer, Uint8Array | string, Buffer | undefined>(codec, {
    onOpen() {
      open += 1;
    },
    onFrame(connection: Peer, frame) {
      assert.ok(!connection.isPaused);
      if (connection.send(frame) === 'full') {
        // Until it drains this one waits, and with it all that follow.
        connection.context = Buffer.from(frame);
        connection.pause();
      } else if (restless > 0 && random.below(restless) === 0) {
        pauses += 1;
        connection.pause();
        connection.connection.setTimer(random.between(0, 9), () => {
          if (connection.context === undefined) {
            connection.resume();
          }
        });
      }
    },
    onDrain(connection) {
      const { context } = connection;
      if (context !== undefined && connection.send(context) !== 'full') {
        connection.context = undefined;
        connection.resume();
      }
    },
    onClose(connection) {
      open -= 1;
      assert.equal(connection.keptBytes, 0);
    },
  });
  const limits = {
    writeQueueMax: FRAME_MAX + 16,
    highWaterMark: 64,
    lowWaterMark: 0,
    writeTimeoutMs: 0,
    lingerTimeoutMs: LONG,
  };
  const rig = SimRig.open(handler, limits, { seed, shape: 'random' });
  const clients = Array.from({ length: 3 }, () => {
    const payloads = Array.from({ length: random.between(1, 25) }, () =>
      Buffer.alloc(random.pick([0, 1, 5, 60, FRAME_MAX]), random.pick(['x', 'E', 'N', '\r'])),
    );
    const stream = Buffer.concat(payloads.map((payload) => encodeFrame(codec, payload)));
    const peer = rig.world.peer({
      writeMax: random.pick([1, 7, 65_536]),
      readMax: random.pick([1, 9, 65_536]),
      resetChance,
    });
    peer.connect(rig.url);
    peer.send(stream);
    peer.end();
    return { peer, stream };
  });
  for (const { peer } of clients) {
    await rig.until(() => peer.hasEnded || peer.isOver);
  }
  await rig.until(() => open === 0);
  assert.deepEqual(rig.warnings, []);
  await rig.close();
  return { clients, pauses, stats: handler.frameStats };
}

describe('on the simulated kernel', () => {
  let pauses = 0;
  let cutOff = 0;

  for (let seed = 1; seed <= SEEDS; seed += 1) {
    it(`each gets its frames back, in order: seed ${seed}`, async () => {
      const played = await play(seed, 0);
      pauses += played.pauses;
      for (const { peer, stream } of played.clients) {
        assert.equal(peer.received().toString('latin1'), stream.toString('latin1'));
      }
      assert.equal(played.stats.framesTruncated, 0);
    });

    it(`those that reset get no others: seed ${seed}`, async () => {
      for (const { peer, stream } of (await play(seed, 0.02)).clients) {
        const received = peer.received();
        assert.ok(stream.subarray(0, received.byteLength).equals(received));
        cutOff += received.byteLength < stream.byteLength ? 1 : 0;
      }
    });
  }

  it('there were pauses and resets', () =>
    assert.ok(pauses > 20 && cutOff > 5, `${pauses} ${cutOff}`));
});
