/**
 * The trial of traffic: the production reactor on the simulated kernel, a handler, and rude peers; checked throughout
 * and at the end. Phases: rude (faults on), lull (faults off, everyone reads, nobody is told to end), polite (everyone
 * is told to finish: everything must end), idle (nothing may happen any more), shutdown (nothing may be left).
 */

import assert from 'node:assert/strict';

import type { ConnectionOptions } from '../../src/api.js';
import { SystemError } from '../../src/errors.js';
import { checkEnds, isOrderly } from './check-ends.js';
import { Faults } from './faults.js';
import { Random } from './random.js';
import type { SimPeer } from './sim-peer.js';
import type { SimPeerListener } from './sim-peer-listener.js';
import { SimWorld } from './sim-world.js';
import { type DriverKind, descriptorsMore } from './trial-driver.js';
import { isChaos, KINDS, type Kind, makeHandler, SOURCE, sends } from './trial-handlers.js';
import { checkStream, Ledger, NONCE_BYTES, streamBytes } from './trial-ledger.js';
import { makeProxy } from './trial-proxy.js';
import type { TrialResult } from './trial-result.js';
import { type TrialOptions, TrialReactors } from './trial-reactors.js';

/** Far more than the slowest trial took. */
const RUDE_STEPS = 4_000;
/** Enough for most trials to come to rest with connections open. */
const LULL_STEPS = 20_000;
const POLITE_STEPS = 2_000_000;
const IDLE_STEPS = 20_000;
/** Steps from one look at the reactors' tables to the next: each look takes as long as some steps. */
const INSPECT_EVERY = 16;
/** A proxy connects a few times only, where others send and receive thousands of times: it needs its own chances. */
const CONNECT_FAULTS = {
  socketNoMemory: 0.1,
  connectAtOnce: 0.3,
  connectFailed: 0.1,
  connectRefused: 0.2,
  connectLost: 0.2,
} as const;
const UPSTREAM = 'tcp://127.0.0.1:7';

interface Client {
  readonly peer: SimPeer;
  readonly nonce: number;
  /** Bytes it sends. */
  readonly total: number;
}

export class TrafficTrial {
  readonly #random: Random;
  readonly #world: SimWorld;
  readonly #kind: Kind;
  readonly #ledger = new Ledger();
  readonly #reactors: TrialReactors;
  readonly #options: TrialOptions;
  readonly #clients: Client[] = [];
  readonly #bytesMax: number;
  /** No faults, no rudeness, no small limits: then everything must arrive, and no deadline may be needed. */
  readonly #isClean: boolean;
  #strange: Error | undefined;
  #upstream: SimPeerListener | undefined;
  #stepsToInspect = 0;
  #rests = 0;
  #activity = -1;

  constructor(seed: number, driver: DriverKind, traceLines: number) {
    this.#world = new SimWorld({
      seed,
      faults: 'none',
      traceLines,
      descriptorsMore: descriptorsMore(driver),
    });
    this.#random = new Random(seed, 50);
    this.#kind = this.#random.pick(KINDS);
    this.#isClean = this.#world.shape.descriptorLimit >= 1_000 && this.#random.chance(0.3);
    // Bytes are dear where the buffers hold a few: so that every trial takes some milliseconds.
    const { shape } = this.#world;
    const piece = Math.min(
      shape.segmentMax,
      shape.sendBuffer,
      shape.receiveBuffer,
      shape.unixBuffer,
    );
    this.#bytesMax = Math.min(30_000, piece * 40 + 60);
    this.#options = this.#isClean ? cleanOptions(this.#kind) : this.#drawOptions();
    this.#reactors = new TrialReactors(this.#world, driver, this.#options, (error) =>
      this.#onWarning(error),
    );
  }

  get world(): SimWorld {
    return this.#world;
  }

  #onWarning(error: Error): void {
    if (!(error instanceof SystemError) && !isChaos(error)) {
      this.#strange ??= error;
    }
  }

  #drawOptions(): TrialOptions {
    const random = this.#random;
    const writeQueueMax = Math.floor(random.logarithmic(64, 100_000));
    const connection: ConnectionOptions = {
      writeQueueMax,
      highWaterMark: Math.floor(writeQueueMax / 2),
      lowWaterMark: Math.floor(writeQueueMax / random.between(3, 9)),
      whenFull: random.pick(['refuse', 'close', 'pause-source']),
      readQueueMax: Math.floor(random.logarithmic(64, 100_000)),
      allowHalfOpen: isHalfOpen(this.#kind),
      lingerTimeoutMs: random.pick([5, 500, 5_000]),
      halfOpenTimeoutMs: random.pick([60, 30_000]),
    };
    if (random.chance(0.3)) {
      connection.idleTimeoutMs = random.between(5, 400);
      connection.readTimeoutMs = random.between(5, 400);
      connection.writeTimeoutMs = random.between(5, 400);
    }
    return {
      connection,
      connectionsMax: random.chance(0.3) ? random.between(1, 3) : 100,
      refuseWhenMax: random.chance(0.5),
      receiveBytes: Math.floor(random.logarithmic(16, 65_536)),
      receiveBudget: Math.floor(random.logarithmic(16, 262_144)),
      acceptBudget: random.between(1, 16),
      blockBytesMax: random.chance(0.1) ? 4_096 : 1 << 24,
    };
  }

  async run(): Promise<TrialResult> {
    const world = this.#world;
    this.#start();
    if (!this.#isClean) {
      const seeded = new Faults('swarm', new Random(world.seed, 51));
      Object.assign(world.faults.rates, seeded.rates);
      if (this.#kind === 'proxy' && this.#random.chance(0.4)) {
        Object.assign(world.faults.rates, CONNECT_FAULTS);
      }
    }
    await this.#until(() => this.#isOver(), RUDE_STEPS);
    this.#calmDown();
    if (await this.#until(() => this.#isAtRest(), LULL_STEPS)) {
      this.#checkLull();
    }
    this.#bePolite();
    const isOver = await this.#until(() => this.#isOver(), POLITE_STEPS);
    assert.ok(isOver, `not over: ${this.#describe()}`);
    this.#checkClients();
    const ranDry = await this.#until(() => this.#isQuiet(), IDLE_STEPS);
    assert.ok(ranDry, 'the process does not come to rest');
    await this.#shutDown();
    return {
      hash: world.traceHash,
      kind: this.#kind,
      steps: world.counters.steps,
      connections: this.#ledger.entries.length,
      faults: world.faults.counts,
    };
  }

  #start(): void {
    const world = this.#world;
    const random = this.#random;
    if (this.#kind === 'proxy') {
      this.#upstream = world.listener(UPSTREAM, { isEchoing: true });
    }
    const handler =
      this.#kind === 'proxy'
        ? makeProxy(this.#ledger, UPSTREAM, this.#options.connection)
        : makeHandler(this.#kind, this.#ledger, random, this.#bytesMax);
    const listen = ['tcp://127.0.0.1:80', 'unix-abstract://trial'];
    this.#reactors.start(handler, listen, random.chance(0.3) ? 2 : 0);
    const count = random.between(1, 6);
    for (let i = 0; i < count; i += 1) {
      this.#addClient(i, random.pick(this.#reactors.addresses));
    }
  }

  #addClient(i: number, address: string): void {
    const random = this.#random;
    const isRude = !this.#isClean && random.chance(0.25);
    const peer = this.#world.peer({
      readMax: Math.floor(random.logarithmic(1, 65_536)),
      writeMax: Math.floor(random.logarithmic(1, 65_536)),
      isReadingStopped: !this.#isClean && random.chance(0.2),
      resetChance: isRude ? 0.02 : 0,
      endChance: isRude ? 0.02 : 0,
    });
    const nonce = (this.#world.seed * 8 + i) >>> 0;
    const total = random.between(0, this.#bytesMax);
    this.#clients.push({ peer, nonce, total });
    this.#world.later(random.between(0, 30), () => {
      peer.connect(address);
      let at = 0;
      while (at < total) {
        const n = Math.min(total - at, random.between(1, 4_000));
        peer.send(streamBytes(nonce, at, n));
        at += n;
      }
      if (this.#isClean || random.chance(0.7)) {
        peer.end();
      }
      if (!this.#isClean && random.chance(0.1)) {
        this.#world.later(random.between(0, 60), () => peer.reset());
      }
    });
  }

  /** Faults end, and everybody reads what is there. From here on the reactor may not do anything without a reason. */
  #calmDown(): void {
    this.#world.faults.stop();
    this.#reactors.beStrict();
    for (const { peer } of this.#clients) {
      peer.startReading();
    }
  }

  /** Everybody reads and nothing is on its way: whatever a connection has sent is there, its end as well. */
  #checkLull(): void {
    const peers = new Map(this.#clients.map(({ peer, nonce }) => [nonce, peer]));
    for (const { connection, isDialed, nonce, closed } of this.#ledger.entries) {
      const peer = peers.get(nonce);
      if (peer === undefined || isDialed || closed > 0 || peer.isOver) {
        continue;
      }
      assert.equal(peer.bytesReceived, connection.bytesSent, `client ${nonce} lacks bytes`);
      const hasEnded = connection.state === 'closing' || connection.state === 'half-closed-local';
      assert.ok(!hasEnded || peer.hasEnded, `client ${nonce} was not told of the end`);
    }
  }

  #bePolite(): void {
    for (const { peer } of this.#clients) {
      peer.end();
    }
    // A client whose SYN was lost would wait for ever; a sink that nobody closes is closed by the peers' ends.
    this.#world.later(5_000, () => {
      for (const { peer } of this.#clients) {
        if (!peer.isConnected) {
          peer.close();
        }
      }
    });
  }

  #isOver(): boolean {
    return (
      this.#clients.every(({ peer }) => peer.isOver) &&
      this.#reactors.connectionCount === 0 &&
      this.#reactors.lettersUnderWay === 0
    );
  }

  get #isAsleep(): boolean {
    return this.#world.kernels.every(
      ({ host }) => host.deferredCount === 0 && host.doorbells.every(({ isRinging }) => !isRinging),
    );
  }

  /** Nothing but timers has happened for some wake-ups: the process sleeps, nothing is on its way, nobody acts. */
  #isAtRest(): boolean {
    if (!this.#isAsleep || this.#world.timeline.pending > 0) {
      return false;
    }
    const activity = this.#world.scheduler.peerActions + this.#reactors.outputs;
    this.#rests = activity === this.#activity ? this.#rests + 1 : 0;
    this.#activity = activity;
    return this.#rests >= 3;
  }

  /** Nothing is set that could wake the process. */
  #isQuiet(): boolean {
    return this.#isAsleep && this.#reactors.timersSet === 0;
  }

  #checkClients(): void {
    for (const { peer, nonce } of this.#clients) {
      const expected = sends(this.#kind) ? nonce ^ SOURCE : nonce;
      checkStream(expected, 0, peer.received(), `received by client ${nonce}`);
    }
    this.#ledger.finish();
    this.#reactors.checkEmpty();
    this.#checkEnds();
    if (this.#isClean) {
      this.#checkClean();
    }
  }

  #checkClean(): void {
    if (this.#kind !== 'chaos') {
      assert.equal(this.#reactors.timeouts, 0, 'no deadline passed');
      for (const { peer } of this.#clients) {
        assert.ok(isOrderly(peer), 'every client got an orderly end');
      }
    }
    for (const { peer, nonce, total } of this.#clients) {
      const expected = echoed(this.#kind, total);
      if (expected !== undefined) {
        assert.equal(peer.bytesReceived, expected, `client ${nonce} got all of its bytes back`);
      }
    }
  }

  #checkEnds(): void {
    const accepted = this.#ledger.entries.filter(({ isDialed }) => !isDialed);
    checkEnds(accepted, this.#clients);
    const dialed = this.#ledger.entries.filter(({ isDialed }) => isDialed);
    const upstream = this.#upstream?.peers ?? [];
    checkEnds(
      dialed,
      upstream
        .filter((peer) => peer.bytesReceived >= NONCE_BYTES)
        .map((peer) => ({ peer, nonce: peer.received().readUInt32LE(0) })),
    );
  }

  async #shutDown(): Promise<void> {
    this.#reactors.closeAll();
    this.#reactors.abortAll();
    await this.#until(() => false, 200);
    assert.equal(this.#reactors.slotsUsed, 0, 'no leaked slots');
    assert.equal(this.#reactors.destroy(), 0, 'no leaked blocks');
    await this.#until(() => false, 200);
    this.#world.finish();
  }

  /** Only a proxy's dials use promises: the others run without waiting for any. */
  async #until(condition: () => boolean, maxSteps: number): Promise<boolean> {
    const until = () => {
      this.#stepsToInspect -= 1;
      if (this.#stepsToInspect < 0) {
        this.#stepsToInspect = INSPECT_EVERY;
        this.#reactors.inspect();
      }
      return this.#strange !== undefined || condition();
    };
    const holds =
      this.#kind === 'proxy'
        ? await this.#world.run({ until, maxSteps })
        : this.#world.runSync({ until, maxSteps });
    if (this.#strange !== undefined) {
      throw this.#strange;
    }
    return holds;
  }

  #describe(): string {
    const open = this.#clients
      .filter(({ peer }) => !peer.isOver)
      .map(
        ({ peer }) => `${peer.isConnected ? 'connected' : 'connecting'} ${peer.unsentBytes} unsent`,
      );
    return `${this.#kind}, ${this.#reactors.connectionCount} connections, clients: ${open.join('; ')}`;
  }
}

function isHalfOpen(kind: Kind): boolean {
  return kind === 'replier' || kind === 'proxy';
}

/** Limits and deadlines that are never met. */
function cleanOptions(kind: Kind): TrialOptions {
  return {
    // Longer than the virtual clock can get with slow peers and jumps.
    connection: {
      allowHalfOpen: isHalfOpen(kind),
      halfOpenTimeoutMs: 0,
      writeTimeoutMs: 4_000_000_000,
      lingerTimeoutMs: 4_000_000_000,
    },
    connectionsMax: 100,
    refuseWhenMax: true,
    receiveBytes: 4_096,
    receiveBudget: 16_384,
    acceptBudget: 16,
    blockBytesMax: 1 << 24,
  };
}

/** How many bytes come back to a client that sends `total`; undefined where that is up to chance. */
function echoed(kind: Kind, total: number): number | undefined {
  switch (kind) {
    case 'framed':
      return total - (total % 37);
    case 'sink':
      return 0;
    case 'source':
    case 'replier':
    case 'pull':
    case 'chaos':
      return undefined;
    default:
      return total;
  }
}
