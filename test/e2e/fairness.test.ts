/**
 * A connection that sends as fast as it can does not keep the reactor from the others, from its tasks or its mailbox.
 * What is counted is how many of its bytes come between two services of another, never time.
 */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import {
  type Connection,
  type Handler,
  type Reactor,
  type Server,
  serve,
} from '../../src/index.js';
import { rounds } from '../support/await-condition.js';
import { RawPeer } from '../support/raw-peer.js';

const RECEIVE_BYTES = 16_384;
const BUDGET = 65_536;
/** One turn may pass the budget by one receive. */
const TURN_BYTES = BUDGET + RECEIVE_BYTES;

/**
 * Turns in which something is served that waits. io_uring submits in one what it completes in the next; and what the
 * kernel has received ahead of a question, into buffers that are more the more connections wait for them, comes before
 * it, a budget in each turn.
 */
const turnsOf = ({ driver }: Server): number => (driver === 'uring' ? 12 : 3);
/** A task waits for no receive, but for the turn that it is asked for in. */
const taskTurnsOf = ({ driver }: Server): number => (driver === 'uring' ? 3 : 1.5);
const SMALL = 200;
const ANSWERS = 20;

/** What of the firehose was seen when something was served last, and the most between two services. */
class Gap {
  largest = 0;
  count = 0;
  #last = 0;

  note(total: number): void {
    this.largest = Math.max(this.largest, total - this.#last);
    this.#last = total;
    this.count += 1;
  }
}

interface Stream {
  total: number;
  readonly tasks: Gap;
  readonly messages: Gap;
  readonly small: Gap[];
}

/** Bytes of a connection that began with `F` are the firehose's; the others are answered. */
function createHandler(stream: Stream): Handler<{ gap: Gap | undefined }> {
  return {
    onBoot(reactor) {
      const task = (running: Reactor) => {
        stream.tasks.note(stream.total);
        if (running.connectionCount > 0 || stream.total === 0) {
          running.execute(task);
        }
      };
      reactor.execute(task);
    },
    onData(connection, bytes) {
      if (connection.context === undefined) {
        const gap = bytes[0] === 0x46 ? undefined : new Gap();
        connection.context = { gap };
        gap?.note(stream.total);
        if (gap !== undefined) {
          // The wait for the first service is another matter.
          gap.largest = 0;
          stream.small.push(gap);
        }
      } else {
        connection.context.gap?.note(stream.total);
      }
      if (connection.context.gap === undefined) {
        stream.total += bytes.byteLength;
      } else {
        connection.write('y');
      }
    },
    onMessage: () => stream.messages.note(stream.total),
  };
}

/** Sends all that the kernel takes. */
function pour(firehose: RawPeer, water: Buffer): void {
  while (firehose.send(water) > 0) {
    // Until the socket is full.
  }
}

async function run(server: Server, small: readonly RawPeer[], firehose: RawPeer): Promise<number> {
  const water = Buffer.alloc(262_144, 'F');
  const answers = new Array<number>(small.length).fill(0);
  let trips = 0;
  for (const peer of small) {
    peer.send('x');
  }
  for (; answers.some((count) => count < ANSWERS); trips += 1) {
    assert.ok(trips < 10_000, 'the small connections are answered');
    pour(firehose, water);
    server.post(0, Buffer.from('note'));
    await rounds(1);
    for (const [i, peer] of small.entries()) {
      if (peer.receive() instanceof Buffer) {
        answers[i]! += 1;
        peer.send('x');
      }
    }
  }
  return trips;
}

it('a firehose gets its budget in each turn, and all others are served in between', async () => {
  const stream: Stream = { total: 0, tasks: new Gap(), messages: new Gap(), small: [] };
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    handler: createHandler(stream),
    receiveBytes: RECEIVE_BYTES,
    receiveBudget: BUDGET,
  });
  const url = server.addresses[0]!;
  const firehose = await RawPeer.connect(url);
  const small = await RawPeer.connectMany(url, SMALL);
  try {
    const trips = await run(server, small, firehose);
    // It was one: in most turns it had its whole budget.
    assert.ok(stream.total >= (trips / 2) * BUDGET, `${stream.total} bytes in ${trips} trips`);
    // The peers of this thread and the reactor take turns: a question waits for two turns at most, for three by rights.
    const worst = Math.max(...stream.small.map(({ largest }) => largest));
    assert.equal(stream.small.length, SMALL);
    assert.ok(worst <= turnsOf(server) * TURN_BYTES, `${worst} bytes between two answers`);
    assert.ok(
      stream.tasks.largest <= taskTurnsOf(server) * TURN_BYTES,
      `${stream.tasks.largest} bytes between tasks`,
    );
    assert.ok(
      stream.messages.largest <= turnsOf(server) * TURN_BYTES,
      `${stream.messages.largest} for messages`,
    );
    assert.ok(stream.messages.count >= trips - 3, `${stream.messages.count} of ${trips} messages`);
  } finally {
    for (const peer of [...small, firehose]) {
      peer.close();
    }
    await server.close({ deadlineMs: 0 });
  }
});

it('new connections are accepted while a firehose runs, and each in a few turns', async () => {
  const seen: { total: number }[] = [];
  let total = 0;
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    handler: {
      onOpen: (_connection: Connection) => void seen.push({ total }),
      onData(_connection, bytes) {
        total += bytes.byteLength;
      },
    },
    receiveBytes: RECEIVE_BYTES,
    receiveBudget: BUDGET,
  });
  const url = server.addresses[0]!;
  const firehose = await RawPeer.connect(url);
  const late: RawPeer[] = [];
  try {
    const water = Buffer.alloc(262_144);
    for (let i = 0; i < 100; i += 1) {
      pour(firehose, water);
      await rounds(1);
      const before = total;
      late.push(RawPeer.begin(url));
      while (seen.length < late.length + 1) {
        pour(firehose, water);
        await rounds(1);
      }
      const waited = seen.at(-1)!.total - before;
      assert.ok(
        waited <= turnsOf(server) * TURN_BYTES,
        `${waited} bytes before a connection was accepted`,
      );
    }
    assert.ok(total >= 50 * BUDGET, `${total} bytes in all`);
  } finally {
    for (const peer of [...late, firehose]) {
      peer.close();
    }
    await server.close({ deadlineMs: 0 });
  }
});
