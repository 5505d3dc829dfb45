/**
 * Connects and closes as fast as it goes, in all ways, so that slots and descriptor numbers are used again at once,
 * while other threads write to ids that are stale or about to be. Every byte that arrives must have been meant for the
 * connection that it arrives on.
 */

import assert from 'node:assert/strict';
import { Worker } from 'node:worker_threads';

import { EAGAIN, ECONNRESET, EPIPE } from '../../src/base/errno.js';
import type { SystemError } from '../../src/errors.js';
import type { Random } from '../sim/random.js';
import {
  encodeRecord,
  encodeRequest,
  NONCE_BYTES,
  RECORD_BYTES,
  STRAY,
  type Wish,
} from './handlers/nonce-layout.js';
import { randomOf } from './noise.js';
import { HELLO_BYTES } from './observed.js';
import { RawClient } from './raw-client.js';
import { type Kind, onStage, type Shape, Stage } from './stage.js';
import type { StrayAnswer, StrayOrder } from './stray-writer.js';
import { nextRound, within } from './until.js';

/** Peers at once. */
const LANES = 24;
const RING = 512;
const KINDS: readonly Kind[] = ['tcp4', 'tcp6', 'unix', 'unix-abstract'];

/** What the peer does, or makes the server do. */
type Way = 'leave' | 'reset' | 'reset at once' | 'leave at once' | 'half-close' | Wish;
const WAYS: readonly Way[] = [
  'leave',
  'reset',
  'reset',
  'reset at once',
  'leave at once',
  'half-close',
  'close',
  'abort',
  'end',
];

interface StaleReport {
  readonly uses: number;
  readonly refused: number;
  readonly violations: string[];
}

/** The whole scenario on a server of this shape. */
export async function weatherStorm(shape: Shape, cycles: number): Promise<void> {
  await onStage(Stage.open(shape, 'nonce'), async (stage) => {
    const strays = await runStorm(stage, cycles, randomOf(`storm ${shape.name}`));
    assert.ok(strays > 0, 'no stray write ever arrived');
    await stage.empty();
    for (const answer of await stage.server.executeAll('stale')) {
      const { uses, refused, violations } = answer as StaleReport;
      assert.deepEqual(violations, []);
      assert.ok(uses > 0 && refused > 0, 'no closed connection was used');
    }
    await stage.end();
  });
}

/** Answers how many records of strangers arrived, where they should. */
async function runStorm(stage: Stage, cycles: number, random: Random): Promise<number> {
  const storm = new Storm(stage, random);
  const worker = new Worker(new URL('./stray-writer.js', import.meta.url), {
    workerData: storm.order,
  });
  const answered = new Promise<StrayAnswer>((resolve, reject) => {
    worker.on('message', resolve);
    worker.on('error', reject);
  });
  const ended = new Promise<void>((resolve) => {
    worker.on('exit', () => resolve());
  });
  let begun = 0;
  const lane = async () => {
    while (begun < cycles) {
      begun += 1;
      await storm.cycle();
    }
  };
  try {
    await Promise.all(Array.from({ length: LANES }, lane));
  } finally {
    storm.stop();
  }
  const { queued } = await within('the other thread ends', answered);
  await ended;
  assert.equal(begun, cycles);
  assert.ok(queued > 0, 'the other thread wrote nothing');
  return storm.strays;
}

class Storm {
  readonly order: StrayOrder;
  strays = 0;
  readonly #stage: Stage;
  readonly #random: Random;
  readonly #ids: Float64Array;
  readonly #control: Int32Array;

  constructor(stage: Stage, random: Random) {
    this.#stage = stage;
    this.#random = random;
    const ids = new SharedArrayBuffer(8 * RING);
    const control = new SharedArrayBuffer(8);
    this.#ids = new Float64Array(ids);
    this.#control = new Int32Array(control);
    this.order = { handle: stage.server.remoteHandle(), ids, control };
  }

  stop(): void {
    Atomics.store(this.#control, 1, 1);
    Atomics.notify(this.#control, 1);
  }

  /** One connection, from its beginning to its end. */
  async cycle(): Promise<void> {
    const way = this.#random.pick(WAYS);
    const client = await this.#connect(this.#random.pick(KINDS));
    try {
      if (way === 'reset at once') {
        client.reset();
      } else if (way === 'leave at once') {
        client.close();
      } else {
        await within(`a connection that ends by ${way}`, this.#converse(client, way));
      }
    } finally {
      client.close();
    }
  }

  async #connect(kind: Kind): Promise<RawClient> {
    for (;;) {
      const client = RawClient.connectNow(this.#stage.url(kind));
      if (typeof client !== 'number') {
        return client;
      }
      assert.equal(client, -EAGAIN, `connect to ${kind}`);
      await nextRound();
    }
  }

  async #converse(client: RawClient, way: Way): Promise<void> {
    const id = (await client.read(HELLO_BYTES)).readDoubleBE();
    this.#remember(id);
    const nonce = Buffer.alloc(NONCE_BYTES);
    this.#random.fill(nonce);
    const isWish = way === 'close' || way === 'abort' || way === 'end';
    const inbox = new RecordReader(id, nonce);
    if (way === 'leave') {
      // This one certainly lives when the other thread writes to it.
      assert.notEqual(this.#stage.server.write(id, encodeRecord(id, STRAY)), 'full');
      await inbox.readUntil(client, () => inbox.strays > 0);
    }
    if (way === 'half-close') {
      client.halfClose();
    } else {
      client.trySend(encodeRequest(nonce, isWish ? way : 'answer'));
    }
    // Another thread knows the id by now: this may reach the connection, or find it closed.
    this.#stage.server.write(id, encodeRecord(id, STRAY));
    if (way === 'reset' || way === 'leave') {
      await inbox.readUntil(client, () => inbox.answers > 0);
      client[way === 'reset' ? 'reset' : 'close']();
    } else {
      await inbox.readToEnd(client, way === 'abort');
    }
    this.strays += inbox.strays;
    // And this one comes too late in any case.
    this.#stage.server.write(id, encodeRecord(id, STRAY));
  }

  #remember(id: number): void {
    const n = Atomics.load(this.#control, 0);
    this.#ids[n % RING] = id;
    Atomics.store(this.#control, 0, n + 1);
  }
}

/** Takes a peer's records apart and looks at each. */
class RecordReader {
  readonly #id: number;
  readonly #nonce: Buffer;
  #rest: Buffer = Buffer.alloc(0);
  strays = 0;
  answers = 0;

  constructor(id: number, nonce: Buffer) {
    this.#id = id;
    this.#nonce = nonce;
  }

  async readUntil(client: RawClient, isEnough: () => boolean): Promise<void> {
    while (!isEnough()) {
      const bytes = await client.read(RECORD_BYTES);
      this.#take(bytes);
    }
  }

  /** A reset is an end too where one was asked for. */
  async readToEnd(client: RawClient, mayReset: boolean): Promise<void> {
    try {
      await client.drain((bytes) => this.#take(bytes));
    } catch (error) {
      const { errno } = error as SystemError;
      assert.ok(mayReset && (errno === ECONNRESET || errno === EPIPE), String(error));
    }
    assert.ok(mayReset || this.#rest.byteLength === 0, 'a record was cut off');
  }

  #take(bytes: Buffer): void {
    let all: Buffer = Buffer.concat([this.#rest, bytes]);
    while (all.byteLength >= RECORD_BYTES) {
      assert.equal(all.readDoubleBE(), this.#id, 'a record of another connection');
      const content = all.subarray(8, RECORD_BYTES);
      if (content.equals(STRAY)) {
        this.strays += 1;
      } else {
        assert.ok(content.equals(this.#nonce), 'an answer to another peer');
        this.answers += 1;
      }
      all = all.subarray(RECORD_BYTES);
    }
    this.#rest = all;
  }
}
