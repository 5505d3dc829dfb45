/**
 * Random reads and writes with random deadlines against a peer that stops and goes: what the reads got is what the
 * peer sent, without a gap; what the peer got is the first `size` bytes of each write, in order; each operation has
 * exactly one result, and those of a direction that did not end early come in order.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import type { Result } from '../../src/proactor/index.js';
import type { Random } from '../sim/random.js';
import { rounds, settled } from '../support/await-condition.js';
import { noise, noiseAt, randomOf } from '../support/noise.js';
import { type Pair, WatcherRig } from '../support/watcher-rig.js';

const OPERATIONS = 300;
const STREAM_BYTES = 600_000;

interface Account {
  readonly read: Buffer[];
  readonly written: Buffer[];
  readonly seen: Set<number>;
  lastRead: number;
  lastWrite: number;
  hasEnded: boolean;
}

function note(account: Account, { operation, context, buffer, size, error }: Result): void {
  const number = context as number;
  assert.ok(!account.seen.has(number), `operation ${number} has two results`);
  account.seen.add(number);
  const bytes = Buffer.from(buffer.subarray(0, size));
  if (operation === 'read') {
    account.read.push(bytes);
    account.hasEnded ||= error?.code === 'ERR_END';
  } else if (size > 0) {
    account.written[number] = bytes;
  }
  if (error === undefined) {
    assert.ok(size > 0);
    const last = operation === 'read' ? 'lastRead' : 'lastWrite';
    assert.ok(number > account[last], `${operation} ${number} came after ${account[last]}`);
    account[last] = number;
  } else {
    assert.match(error.code, /^ERR_(DEADLINE|END)$/);
  }
}

function submit(rig: WatcherRig, { connection }: Pair, random: Random, number: number): void {
  const { watcher } = rig;
  const deadlineMs = random.chance(0.3) ? random.between(1, 15) : 0;
  const options = { context: number, ...(deadlineMs === 0 ? {} : { deadlineMs }) };
  const length = Math.ceil(random.logarithmic(1, 20_000));
  const kind = random.between(0, 3);
  const submission =
    kind === 0
      ? watcher.read(connection, undefined, options)
      : kind === 1
        ? watcher.read(connection, Buffer.alloc(length), options)
        : kind === 2
          ? watcher.readFull(connection, Buffer.alloc(length), options)
          : watcher.write(connection, noise(number, length * 20), options);
  assert.equal(submission, 'pending');
}

/** Sends the stream in pieces and takes what comes, with pauses; answers all that came. */
async function playPeer({ peer }: Pair, random: Random, isOver: () => boolean): Promise<Buffer> {
  const got: Buffer[] = [];
  let sent = 0;
  while (!isOver() || sent < STREAM_BYTES) {
    if (random.chance(0.5) && sent < STREAM_BYTES) {
      const n = Math.min(STREAM_BYTES - sent, random.between(1, 30_000));
      sent += Math.max(0, peer.trySend(noiseAt(99, sent, n)));
    }
    if (random.chance(0.7)) {
      const bytes = peer.tryReceive(random.between(1, 60_000));
      if (typeof bytes !== 'number') {
        got.push(Buffer.from(bytes));
      }
    }
    await rounds(random.between(1, 3));
  }
  peer.halfClose();
  got.push(await peer.readToEnd());
  return Buffer.concat(got);
}

describe('random operations', () => {
  for (let seed = 1; seed <= 8; seed += 1) {
    it(`lose nothing and double nothing, seed ${seed}`, async () => {
      const random = randomOf(`proactor ${seed}`);
      const rig = await WatcherRig.open(
        { sharedBytes: 65_536, resultsMax: random.between(1, 40) },
        { writeTimeoutMs: 0 },
      );
      const pair = await rig.pair({ receiveBufferBytes: 16_384 });
      const account: Account = {
        read: [],
        written: [],
        seen: new Set(),
        lastRead: -1,
        lastWrite: -1,
        hasEnded: false,
      };
      let submitted = 0;
      let waiting: ReturnType<typeof rig.watcher.waitIo> | undefined;
      const playing = playPeer(pair, random, () => submitted >= OPERATIONS);
      const { watcher } = rig;
      while (submitted < OPERATIONS || watcher.stats.operations + watcher.stats.results > 0) {
        for (let i = random.between(0, 6); i > 0 && submitted < OPERATIONS; i -= 1) {
          submit(rig, pair, random, submitted);
          submitted += 1;
        }
        await rounds(random.between(0, 3));
        waiting ??= watcher.waitIo();
        // What is pending may only be done when more was submitted, and the peer ends.
        const batch = await Promise.race([waiting, rounds(random.between(1, 5))]);
        for (const result of batch ?? []) {
          note(account, result);
        }
        waiting = batch === undefined ? waiting : undefined;
      }
      // What no read has asked for yet.
      while (!account.hasEnded) {
        watcher.read(pair.connection, undefined, { context: submitted });
        submitted += 1;
        for (const result of (await settled(waiting ?? watcher.waitIo(), 'the rest'))!) {
          note(account, result);
        }
        waiting = undefined;
      }
      watcher.free(pair.connection);
      const got = await settled(playing, 'the peer');
      assert.equal(account.seen.size, submitted);
      assert.ok(Buffer.concat(account.read).equals(noise(99, STREAM_BYTES)), 'what was read');
      assert.ok(Buffer.concat(account.written.filter(Boolean)).equals(got), 'what was written');
      await rig.close();
    });
  }
});
