/**
 * Files among writes on the simulated kernel, by seed: over a network that splits, delays and, in some seeds, breaks,
 * to peers that read slowly, end and reset. What arrives is a prefix of what was sent, all of it unless the connection
 * broke; each `onDone` comes once, with the truth; every byte that was taken was sent or is counted as unsent.
 */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import type { CloseReason, Connection, Handler } from '../../src/api.js';
import { SimRig } from '../support/reactor-rig.js';
import type { FaultRates } from './faults.js';
import { Random } from './random.js';
import { SimFile } from './sim-file.js';
import type { SimKernel } from './sim-kernel.js';

const FAULTS: Partial<FaultRates> = {
  ...{ shortSend: 0.5, sendNoMemory: 0.05, eventsShuffled: 0.5 },
  ...{ waitInterrupted: 0.1, eventSpurious: 0.1, sendReset: 0.003 },
  ...{ ringLate: 0.3, ringShuffled: 0.3, ringShotEnded: 0.1 },
};
/** On epoll, which asks again: with io_uring a send that was refused for no reason waits for the write timeout. */
const LIES: Partial<FaultRates> = { sendAgain: 0.2 };
const BYTES = 20_000;
const CONNECTIONS = 3;
const SEEDS = 12;
/** Some seeds have segments of a few bytes. */
const STEPS_MAX = 3_000_000;

const CONTENT = Buffer.alloc(BYTES);
for (let i = 0; i < BYTES; i += 1) {
  CONTENT[i] = (i * 13 + (i >> 7)) & 0xff;
}

/** Sends the content in order, by writes and files, as the queue takes it. */
class Talker {
  readonly random: Random;
  readonly fd: number;
  at = 0;
  /** Parts that were taken, and the answers, in order. */
  parts = 0;
  readonly answers: boolean[] = [];
  receipts = 0;
  told = 0;
  reason: CloseReason | undefined;
  sentAtClose = 0;
  /** The peer's. */
  address = '';

  constructor(random: Random, fd: number) {
    this.random = random;
    this.fd = fd;
  }

  fill(connection: Connection): void {
    const { random } = this;
    while (this.at < BYTES) {
      const n = Math.min(random.between(1, 3_000), BYTES - this.at);
      const isFile = random.chance(0.5);
      const isCorked = random.chance(0.2);
      if (isCorked) {
        connection.cork();
      }
      const result = isFile
        ? connection.sendFile(this.fd, this.at, n, (isSent) => void this.answers.push(isSent))
        : connection.write(CONTENT.subarray(this.at, this.at + n));
      if (isCorked) {
        connection.uncork();
      }
      if (result === 'full' || result === 'closed') {
        return;
      }
      this.at += n;
      this.parts += isFile ? 1 : 0;
      if (random.chance(0.1)) {
        this.receipts += 1;
        connection.receipt(() => {
          this.told += 1;
        });
      }
      if (random.chance(0.2)) {
        connection.setTimer(random.between(0, 3), () => this.fill(connection));
        return;
      }
      if (random.chance(0.002)) {
        connection.abort();
        return;
      }
    }
    connection.end();
  }

  check(received: Buffer, mayBreak: boolean, where: string): void {
    const { reason, answers, parts, at } = this;
    assert.ok(reason !== undefined, `${where}: no close`);
    assert.ok(received.equals(CONTENT.subarray(0, received.byteLength)), `${where}: wrong bytes`);
    assert.equal(this.sentAtClose + reason.unsentBytes, at, `${where}: bytes are missing`);
    assert.equal(answers.length, parts, `${where}: an answer for each part`);
    assert.equal(this.told, this.receipts, `${where}: each receipt once`);
    // In order: what was sent, and then what was not.
    const sent = answers.filter((isSent) => isSent).length;
    assert.deepEqual(
      answers,
      Array.from({ length: parts }, (_, i) => i < sent),
      where,
    );
    if (reason.unsentBytes === 0) {
      assert.equal(sent, parts, `${where}: nothing is missing`);
    }
    if (!mayBreak) {
      assert.deepEqual([received.byteLength, reason.unsentBytes], [BYTES, 0], where);
    }
  }
}

async function run(seed: number, driver: string): Promise<void> {
  const before = process.env.MILLRACE_DRIVER;
  process.env.MILLRACE_DRIVER = driver;
  const random = new Random(seed);
  const breaks = seed % 3 === 2;
  const isCut = seed % 10 === 5;
  const talkers = new Map<Connection, Talker>();
  let fd = -1;
  const handler: Handler = {
    onOpen(connection) {
      const talker = new Talker(random, fd);
      talker.address = connection.remoteAddress;
      talkers.set(connection, talker);
      talker.fill(connection);
    },
    onDrain: (connection) => talkers.get(connection)!.fill(connection),
    onClose(connection, reason) {
      const talker = talkers.get(connection)!;
      talker.reason = reason;
      talker.sentAtClose = connection.bytesSent;
    },
  };
  const limits = { writeQueueMax: 8_000, highWaterMark: 4_000, lowWaterMark: 1_000 };
  const times = { writeTimeoutMs: 0, lingerTimeoutMs: 1e8 };
  const rig = SimRig.open(
    handler,
    { ...limits, ...times },
    {
      seed,
      shape: 'random',
      ...(breaks ? { faults: driver === 'epoll' ? { ...FAULTS, ...LIES } : FAULTS } : {}),
    },
  );
  process.env.MILLRACE_DRIVER = before;
  if (before === undefined) {
    delete process.env.MILLRACE_DRIVER;
  }
  const file = new SimFile(CONTENT);
  fd = (rig.kernel as SimKernel).openFile(file);
  const peers = Array.from({ length: CONNECTIONS }, () => {
    const peer = rig.world.peer({
      readMax: Math.floor(random.logarithmic(100, 20_000)),
      resetChance: breaks ? 0.002 : 0,
    });
    peer.connect(rig.url);
    return peer;
  });
  if (isCut) {
    rig.world.later(random.between(0, 20), () => {
      file.bytes = file.bytes.subarray(0, random.below(BYTES));
    });
  }
  const isOver = () =>
    peers.every(({ isOver: over }) => over) &&
    [...talkers.values()].every(({ reason }) => reason !== undefined);
  assert.ok(
    await rig.world.run({ until: isOver, maxSteps: STEPS_MAX }),
    `seed ${seed}, ${driver}: stuck`,
  );
  const where = `seed ${seed}, ${driver}`;
  for (const talker of talkers.values()) {
    const peer = peers.find(({ address }) => address === talker.address)!;
    talker.check(peer.received(), breaks || isCut || talker.reason?.code === 'aborted', where);
  }
  rig.kernel.close(fd);
  await rig.close();
}

for (const driver of ['epoll', 'uring']) {
  it(`files among writes, on ${driver}`, async () => {
    for (let seed = 0; seed < SEEDS; seed += 1) {
      await run(seed, driver);
    }
  });
}
