/**
 * The trial of the proactor: the production reactor and a proactor on the simulated kernel, a program that submits
 * reads, full reads and writes with deadlines, frees and closes, takes its results late, and rude peers. Each
 * operation has one result, in the order of its direction; bytes come and go in order, none twice, none lost; nothing
 * is read that nobody asked for; and at the end nothing is pending, held or leaked.
 */

import assert from 'node:assert/strict';

import type { Connection, ConnectionOptions } from '../../src/api.js';
import { SystemError } from '../../src/errors.js';
import type { Result } from '../../src/proactor/api.js';
import { type Kind, READ, READ_FULL, WRITE } from '../../src/proactor/operation.js';
import { Proactor } from '../../src/proactor/proactor.js';
import { Faults } from './faults.js';
import { Random } from './random.js';
import { type Intent, Session } from './proactor-ledger.js';
import type { SimPeer } from './sim-peer.js';
import { SimWorld } from './sim-world.js';
import { type DriverKind, descriptorsMore } from './trial-driver.js';
import { streamBytes } from './trial-ledger.js';
import { type TrialOptions, TrialReactors } from './trial-reactors.js';
import type { TrialResult } from './trial-result.js';

const BYTES_MAX = 12_000;
const RUDE_STEPS = 3_000;
const STEPS_MAX = 400_000;
const INSPECT_EVERY = 16;

interface Client {
  readonly peer: SimPeer;
  readonly nonce: number;
}

export class ProactorTrial {
  readonly world: SimWorld;
  readonly #random: Random;
  readonly #options: TrialOptions;
  readonly #reactors: TrialReactors;
  readonly #bytesMax: number;
  readonly #limits: { sharedBytes: number; resultsMax: number; operationsMax: number };
  readonly #clients: Client[] = [];
  readonly #sessions: Session[] = [];
  #proactor: Proactor | undefined;
  #isPolite = false;
  #isDone = false;
  #failure: Error | undefined;
  #stepsToInspect = 0;
  /** What happened how often, to show that the trial tries something: codes, and `done`, `shared`, `full`, `held`. */
  readonly outcomes = new Map<string, number>();

  constructor(seed: number, driver: DriverKind, traceLines: number) {
    const faults = 'none';
    this.world = new SimWorld({
      seed,
      faults,
      traceLines,
      descriptorsMore: descriptorsMore(driver),
    });
    const random = new Random(seed, 55);
    this.#random = random;
    const { segmentMax, sendBuffer, receiveBuffer, unixBuffer } = this.world.shape;
    const piece = Math.min(segmentMax, sendBuffer, receiveBuffer, unixBuffer);
    this.#bytesMax = Math.min(BYTES_MAX, piece * 30 + 60);
    this.#options = this.#drawOptions();
    this.#limits = {
      sharedBytes: Math.floor(random.logarithmic(64, 100_000)),
      resultsMax: Math.floor(random.logarithmic(1, 1_000)),
      operationsMax: Math.floor(random.logarithmic(4, 1_000)),
    };
    this.#reactors = new TrialReactors(this.world, driver, this.#options, (error) => {
      if (!(error instanceof SystemError)) {
        this.#failure ??= error;
      }
    });
  }

  #drawOptions(): TrialOptions {
    const random = this.#random;
    // At least that of the largest write: the reactor's check knows no larger one.
    const writeQueueMax = Math.floor(random.logarithmic(this.#bytesMax, this.#bytesMax * 20));
    const connection: ConnectionOptions = {
      writeQueueMax,
      highWaterMark: Math.floor(writeQueueMax / 2),
      lowWaterMark: Math.floor(writeQueueMax / 4),
      readQueueMax: Math.floor(random.logarithmic(64, 100_000)),
      allowHalfOpen: random.chance(0.5),
      lingerTimeoutMs: random.pick([5, 500, 5_000]),
    };
    if (random.chance(0.2)) {
      connection.idleTimeoutMs = random.between(20, 400);
      connection.writeTimeoutMs = random.between(20, 400);
    }
    return {
      connection,
      connectionsMax: 100,
      refuseWhenMax: true,
      receiveBytes: Math.floor(random.logarithmic(16, 65_536)),
      receiveBudget: Math.floor(random.logarithmic(16, 262_144)),
      acceptBudget: random.between(1, 16),
      blockBytesMax: random.chance(0.1) ? 4_096 : 1 << 24,
    };
  }

  async run(): Promise<TrialResult> {
    const { world } = this;
    const random = this.#random;
    this.#start();
    if (random.chance(0.8)) {
      Object.assign(world.faults.rates, new Faults('swarm', new Random(world.seed, 51)).rates);
    }
    await this.#until(() => this.#isOver(), RUDE_STEPS);
    this.#isPolite = true;
    world.faults.stop();
    const isClosedFirst = random.chance(0.5);
    if (isClosedFirst) {
      this.#close();
    }
    this.#bePolite();
    assert.ok(await this.#until(() => this.#isOver(), STEPS_MAX), `not over: ${this.#describe()}`);
    if (!isClosedFirst) {
      this.#close();
    }
    assert.ok(await this.#until(() => this.#isDone, STEPS_MAX), 'the results do not end');
    this.#check();
    this.#reactors.closeAll();
    await this.#until(() => false, 400);
    this.#reactors.checkEmpty();
    assert.equal(this.#reactors.slotsUsed, 0, 'no leaked slots');
    assert.equal(this.#reactors.destroy(), 0, 'no leaked blocks');
    await this.#until(() => false, 200);
    world.finish();
    const connections = this.#sessions.length;
    const { steps } = world.counters;
    const faults = world.faults.counts;
    return { hash: world.traceHash, kind: 'proactor', steps, connections, faults };
  }

  #start(): void {
    const random = this.#random;
    const handler = { onOpen: (connection: Connection) => this.#open(connection) };
    this.#reactors.start(handler, ['tcp://127.0.0.1:80', 'unix-abstract://trial'], 0);
    this.#proactor = new Proactor({ ...this.#limits, kernel: this.world.kernels[0]! });
    this.#consume().catch((error: Error) => {
      this.#failure ??= error;
    });
    const count = random.between(1, 5);
    for (let i = 0; i < count; i += 1) {
      this.#addClient(i, random.pick(this.#reactors.addresses));
    }
  }

  #addClient(i: number, address: string): void {
    const random = this.#random;
    const isRude = random.chance(0.25);
    const peer = this.world.peer({
      readMax: Math.floor(random.logarithmic(1, 65_536)),
      writeMax: Math.floor(random.logarithmic(1, 65_536)),
      isReadingStopped: random.chance(0.2),
      resetChance: isRude ? 0.02 : 0,
      endChance: isRude ? 0.02 : 0,
    });
    const nonce = (this.world.seed * 8 + i) >>> 0;
    const total = random.between(0, this.#bytesMax);
    this.#clients.push({ peer, nonce });
    this.world.later(random.between(0, 30), () => {
      peer.connect(address);
      for (let at = 0; at < total; ) {
        const n = Math.min(total - at, random.between(1, 4_000));
        peer.send(streamBytes(nonce, at, n));
        at += n;
      }
      if (random.chance(0.5)) {
        peer.end();
      }
    });
  }

  /** A connection is taken at once, or some time later: what came meanwhile is not lost. */
  #open(connection: Connection): void {
    const session = new Session(connection, () => connection.bytesReceived);
    this.#sessions.push(session);
    if (this.#random.chance(0.5)) {
      this.#submitSome(session);
    }
    if (session.pending.size === 0) {
      // Nobody has it yet.
      connection.pause();
    }
    this.#actLater(session);
  }

  /** The program does something of itself now and then, beside answering results. */
  #actLater(session: Session): void {
    this.world.later(this.#random.between(0, 40), () => {
      if (this.#isPolite || session.isFreed) {
        return;
      }
      this.#submitSome(session);
      if (this.#random.chance(0.05)) {
        this.#free(session);
      }
      this.#actLater(session);
    });
  }

  #submitSome(session: Session): void {
    const count = this.#random.between(1, 4);
    for (let i = 0; i < count; i += 1) {
      this.#submit(session, this.#random.pick([READ, READ, READ_FULL, WRITE]));
    }
  }

  #submit(session: Session, kind: Kind): void {
    const random = this.#random;
    const isShared = kind === READ && random.chance(0.5);
    const byteLength = isShared ? 0 : Math.ceil(random.logarithmic(1, this.#bytesMax));
    const deadlineMs = random.chance(0.3) ? random.between(1, 40) : 0;
    const intent = session.intend(kind, byteLength, deadlineMs);
    // First: the result may be there when `submit` returns.
    session.pending.add(intent);
    const { connection } = session;
    const proactor = this.#proactor!;
    const result = proactor.submit(kind, connection, intent.buffer, deadlineMs, intent);
    if (result !== 'pending') {
      session.pending.delete(intent);
      this.#count(result);
    }
  }

  #free(session: Session): void {
    session.isFreed = true;
    this.#proactor!.free(session.connection);
  }

  #close(): void {
    for (const session of this.#sessions) {
      session.isFreed = true;
    }
    void this.#proactor!.close();
  }

  #count(what: string): void {
    this.outcomes.set(what, (this.outcomes.get(what) ?? 0) + 1);
  }

  async #consume(): Promise<void> {
    const { results } = this.#proactor!;
    for (;;) {
      const batch = (await results.wait()) as Result[] | undefined;
      if (batch === undefined) {
        break;
      }
      assert.ok(batch.length > 0);
      const shared = batch.filter(({ isShared }) => isShared);
      const copies = shared.map(({ buffer }) => Buffer.from(buffer));
      for (const result of batch) {
        this.#take(result);
      }
      if (!this.#isPolite && this.#random.chance(0.3)) {
        await this.#sleep(this.#random.between(0, 15));
      }
      for (const [i, { buffer }] of shared.entries()) {
        assert.ok(copies[i]!.equals(buffer), 'shared memory changed before the next batch');
      }
    }
    this.#isDone = true;
  }

  #sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => this.world.later(milliseconds, resolve));
  }

  #take(result: Result): void {
    const { session } = result.context as Intent;
    session.note(result);
    const { error, isShared } = result;
    this.#count(error?.code ?? (isShared ? 'shared' : 'done'));
    if (this.#isPolite) {
      return;
    }
    if (error !== undefined && error.code !== 'ERR_DEADLINE') {
      if (this.#random.chance(0.7)) {
        this.#free(session);
      }
    } else if (this.#random.chance(0.8)) {
      this.#submit(session, this.#random.pick([READ, READ_FULL, WRITE]));
    }
  }

  /** Everybody reads and ends; who never got through gives up; the program frees what it has. */
  #bePolite(): void {
    for (const session of this.#sessions) {
      this.#free(session);
    }
    for (const { peer } of this.#clients) {
      peer.startReading();
      peer.end();
    }
    this.world.later(5_000, () => {
      for (const { peer } of this.#clients) {
        if (!peer.isConnected) {
          peer.close();
        }
      }
      for (const session of this.#sessions) {
        this.#free(session);
      }
    });
  }

  #isOver(): boolean {
    return this.#clients.every(({ peer }) => peer.isOver) && this.#reactors.connectionCount === 0;
  }

  #check(): void {
    const { stats } = this.#proactor!;
    assert.equal(stats.operations, 0, 'operations without a result');
    assert.equal(stats.results, 0, 'results that nobody took');
    assert.equal(stats.connections, 0, 'connections that stay');
    assert.equal(stats.heldBytes, 0, 'bytes that stay held');
    const peers = new Map(this.#clients.map(({ peer, nonce }) => [nonce, peer]));
    for (const session of this.#sessions) {
      assert.equal(session.pending.size, 0, 'operations that were forgotten');
      const peer = peers.get(session.nonce);
      if (peer === undefined) {
        continue;
      }
      const got = peer.received();
      const { written } = session;
      assert.ok(
        got.equals(written.subarray(0, got.byteLength)),
        `client ${session.nonce} got something else than was written`,
      );
      const isOrderly = peer.hasEnded && peer.hasSentEnd && !peer.wasReset;
      assert.ok(!isOrderly || got.byteLength >= session.sent, 'a write that was done is lost');
      if (session.hasEnded) {
        assert.equal(session.read, peer.bytesSent, 'all was read before the end');
      }
    }
  }

  #inspect(): void {
    this.#reactors.inspect();
    const { receiveAhead } = this.#reactors;
    const aheadMax = this.#options.receiveBytes + receiveAhead;
    for (const session of this.#sessions) {
      if (!session.isFreed && session.connection.state !== 'closed') {
        session.checkHeld(aheadMax);
      }
    }
    const { stats } = this.#proactor!;
    assert.ok(stats.operations + stats.results <= this.#limits.operationsMax);
    if (stats.heldBytes > 0) {
      this.#count('held');
    }
  }

  async #until(condition: () => boolean, maxSteps: number): Promise<boolean> {
    const until = () => {
      this.#stepsToInspect -= 1;
      if (this.#stepsToInspect < 0) {
        this.#stepsToInspect = INSPECT_EVERY;
        this.#inspect();
      }
      return this.#failure !== undefined || condition();
    };
    const holds = await this.world.run({ until, maxSteps });
    if (this.#failure !== undefined) {
      throw this.#failure;
    }
    return holds;
  }

  #describe(): string {
    const open = this.#clients.filter(({ peer }) => !peer.isOver).length;
    return `${open} clients, ${this.#reactors.connectionCount} connections open`;
  }
}
