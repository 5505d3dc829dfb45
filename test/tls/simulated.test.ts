/**
 * TLS on the simulated kernel: client and server in one reactor, over a network that splits, delays and, in some seeds,
 * breaks as the seed has it. What arrives is a prefix of what was sent, all of it unless the connection broke; every
 * close is told once; no block and nothing of OpenSSL's is kept.
 */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { census } from '../../src/base/openssl.js';
import type { CloseReason, Connection, Handler } from '../../src/index.js';
import { dialTls, SecureContext, tlsHandler } from '../../src/tls/index.js';
import type { FaultPlan } from '../sim/faults.js';
import { Random } from '../sim/random.js';
import { SimRig } from '../support/reactor-rig.js';
import { TestCertificates } from '../support/test-certificates.js';

const certificates = new TestCertificates();
const CONNECTIONS = 4;
/** What may happen to a connection; memory and descriptors are the reactor's tests' matter. */
const FAULTS: FaultPlan = {
  ...{ shortReceive: 0.5, shortSend: 0.5, receiveAgain: 0.2, eventsShuffled: 0.5 },
  ...{ waitInterrupted: 0.1, eventSpurious: 0.1, receiveReset: 0.01, sendReset: 0.01 },
  ...{ ringLate: 0.3, ringShuffled: 0.3, ringShotEnded: 0.1, alarmEarly: 0.3 },
};
const BYTES = 6_000;
/** Some seeds have segments of a few bytes. */
const STEPS_MAX = 3_000_000;
/** And delays, on a clock that costs nothing. */
const TIMEOUT_MS = 1e8;

function patternOf(id: number): Buffer {
  const bytes = Buffer.alloc(BYTES);
  for (let i = 0; i < BYTES; i += 1) {
    bytes[i] = (i * 13 + (i >> 7) + id * 101) & 0xff;
  }
  return bytes;
}

/** Writes a pattern in pieces, obeys `full`, checks that the echo is what was sent, and ends. */
class Talker {
  readonly pattern: Buffer;
  readonly random: Random;
  written = 0;
  received = 0;
  reason: CloseReason | undefined;

  constructor(id: number, random: Random) {
    this.pattern = patternOf(id);
    this.random = random;
  }

  get isDone(): boolean {
    return this.received === BYTES;
  }

  handler(): Handler {
    return {
      onOpen: (connection) => this.#fill(connection),
      onDrain: (connection) => this.#fill(connection),
      onData: (connection, bytes) => {
        const expected = this.pattern.subarray(this.received, this.received + bytes.length);
        assert.ok(bytes.equals(expected), `other bytes at ${this.received}`);
        this.received += bytes.length;
        this.#fill(connection);
        if (this.isDone) {
          connection.close();
        }
      },
      onClose: (_connection, reason) => {
        assert.equal(this.reason, undefined);
        this.reason = reason;
      },
    };
  }

  #fill(connection: Connection): void {
    while (this.written < BYTES && this.written - this.received < 4_000) {
      const size = 1 + this.random.below(3_000);
      const piece = this.pattern.subarray(this.written, this.written + size);
      const result = connection.write(piece);
      if (result === 'full' || result === 'closed') {
        return;
      }
      this.written += piece.length;
    }
  }
}

async function runSeed(seed: number, faults: FaultPlan): Promise<boolean> {
  const echo: Handler = {
    onData(connection, bytes) {
      if (connection.write(bytes) === 'full') {
        connection.abort();
      }
    },
  };
  const { cert, key } = certificates.server;
  const handler = tlsHandler(
    { cert, key, handshakesPerTurn: 1, handshakeTimeoutMs: TIMEOUT_MS },
    echo,
  );
  const world = { seed, shape: 'random', faults } as const;
  const rig = SimRig.open(handler, { writeTimeoutMs: 0, lingerTimeoutMs: 0xffff_ffff }, world);
  const secureContext = SecureContext.client({ ca: certificates.ca.cert });
  const talkers: Talker[] = [];
  let settledDials = 0;
  let failedDials = 0;
  for (let id = 0; id < CONNECTIONS; id += 1) {
    const talker = new Talker(id, new Random(seed, 50 + id));
    talkers.push(talker);
    const options = {
      ...{ reactor: rig.reactor, secureContext, handler: talker.handler() },
      ...{
        handshakeTimeoutMs: TIMEOUT_MS,
        connectTimeoutMs: 0,
        writeTimeoutMs: 0,
        lingerTimeoutMs: 0xffff_ffff,
      },
    };
    dialTls(rig.url, options).then(
      () => {
        settledDials += 1;
      },
      () => {
        settledDials += 1;
        failedDials += 1;
      },
    );
  }
  const isOver = () =>
    settledDials === CONNECTIONS &&
    talkers.filter(({ reason }) => reason !== undefined).length === CONNECTIONS - failedDials &&
    handler.tlsStats.connections === 0;
  const isDone = await rig.world.run({ until: isOver, maxSteps: STEPS_MAX });
  assert.ok(isDone, `seed ${seed} came to rest`);
  const isClean = failedDials === 0 && talkers.every(({ isDone }) => isDone);
  if (faults === 'none') {
    assert.ok(isClean, `seed ${seed}: ${talkers.map(({ received }) => received)}`);
  }
  await handler.onShutdown!(rig.reactor);
  secureContext.close();
  await rig.close();
  assert.deepEqual([census.ssl, census.contexts], [0, 0], `seed ${seed}`);
  return isClean;
}

it('every byte arrives, in all shapes of the network', async () => {
  for (let seed = 1; seed <= 5; seed += 1) {
    await runSeed(seed, 'none');
  }
});

it('with faults, what breaks is told and freed, and nothing is made up', async () => {
  let clean = 0;
  for (let seed = 1; seed <= 15; seed += 1) {
    clean += (await runSeed(seed, FAULTS)) ? 1 : 0;
  }
  assert.ok(clean < 15, 'there were faults');
});
