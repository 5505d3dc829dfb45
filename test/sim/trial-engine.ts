/**
 * The trial of the engine: a server with several reactors, each in a simulated thread of its own, with traffic and
 * faults; threads die where they stand and are replaced, and at some time, perhaps in the midst of it all, the server
 * is closed gracefully. Whatever happens: each connection of a thread that lives has exactly one onClose, every client
 * sees an end, and no descriptor, letter or memory is left.
 */

import assert from 'node:assert/strict';

import type { Handler, ServeOptions } from '../../src/api.js';
import type { ListenAddress } from '../../src/base/datagram-address.js';
import { readSettings } from '../../src/engine/settings.js';
import { ThreadedServer } from '../../src/engine/threaded-server.js';
import { MillraceError, SystemError } from '../../src/errors.js';
import { checkEnds } from './check-ends.js';
import { Faults } from './faults.js';
import { Random } from './random.js';
import type { SimPeer } from './sim-peer.js';
import { SimWorld } from './sim-world.js';
import { type DriverKind, descriptorsMore } from './trial-driver.js';
import { isChaos, type Kind, makeHandler } from './trial-handlers.js';
import { checkStream, type Entry, Ledger, streamBytes } from './trial-ledger.js';
import { addMessages } from './trial-messages.js';
import type { TrialResult } from './trial-result.js';
import { SimThreads, type SimWorker } from './trial-threads.js';

const KINDS: readonly Kind[] = ['echo', 'pull', 'corker', 'pauser', 'chaos', 'receipts'];
const BALANCES = ['round-robin', 'least-connections', 'source-hash', 'random'] as const;
const BYTES_MAX = 3_000;
const STEPS_MAX = 1_000_000;
const INSPECT_EVERY = 16;

interface Client {
  readonly peer: SimPeer;
  readonly nonce: number;
  readonly isRude: boolean;
}

export class EngineTrial {
  readonly world: SimWorld;
  readonly #random: Random;
  readonly #kind: Kind;
  readonly #threads: SimThreads;
  readonly #server: ThreadedServer;
  readonly #addresses: readonly ListenAddress[];
  readonly #ledgers = new Map<SimWorker, Ledger>();
  readonly #clients: Client[] = [];
  readonly #bytesMax: number;
  #lingerMs = 0;
  #mayProbe = true;
  #aims = 0;
  #stepsToInspect = 0;
  #closeStart = Number.POSITIVE_INFINITY;
  #deadline = Number.POSITIVE_INFINITY;
  #strange: Error | undefined;

  constructor(seed: number, driver: DriverKind, traceLines: number) {
    this.world = new SimWorld({ seed, traceLines, descriptorsMore: descriptorsMore(driver) });
    const random = new Random(seed, 61);
    this.#random = random;
    this.#kind = random.pick(KINDS);
    const { segmentMax, sendBuffer, receiveBuffer, unixBuffer } = this.world.shape;
    const piece = Math.min(segmentMax, sendBuffer, receiveBuffer, unixBuffer);
    this.#bytesMax = Math.min(BYTES_MAX, piece * 30 + 60);
    this.#threads = new SimThreads(this.world, driver, (worker) => this.#makeHandler(worker));
    const options = this.#drawOptions();
    const settings = readSettings(options, this.world.shape.descriptorLimit, () => ({
      name: driver,
      reason: 'the trial says so',
    }));
    this.#addresses = settings.addresses;
    this.#server = new ThreadedServer(options, settings);
  }

  #drawOptions(): ServeOptions {
    const random = this.#random;
    this.#lingerMs = random.pick([5, 500, 5_000]);
    const isSpreadByKernel = random.chance(0.2);
    const connectionsMax = random.chance(0.4) ? random.between(1, 3) : 100;
    // With SO_REUSEPORT it is the system that chooses, and it may choose a reactor that is full.
    this.#mayProbe = !isSpreadByKernel || connectionsMax === 100;
    const writeQueueMax = Math.floor(random.logarithmic(64, 100_000));
    return {
      listen: ['tcp://127.0.0.1:80', 'unix-abstract://trial'],
      handler: new URL('file:///handler-of-a-trial.js'),
      reactors: random.between(2, 3),
      balance: random.pick(BALANCES),
      reusePort: isSpreadByKernel,
      writeQueueMax,
      highWaterMark: Math.floor(writeQueueMax / 2),
      lowWaterMark: Math.floor(writeQueueMax / 4),
      lingerTimeoutMs: this.#lingerMs,
      connectionsMax,
      whenConnectionsMax: random.pick(['refuse', 'wait']),
      blockedAfterMs: random.pick([0, 1_000]),
      onWarning: (error) => this.#onWarning(error),
    };
  }

  #onWarning(error: Error): void {
    const isOurs = error instanceof SystemError || error instanceof MillraceError;
    const isTrial = /out of memory|thread of a trial died/.test(error.message);
    if (!isOurs && !isTrial && !isChaos(error)) {
      this.#strange ??= error;
    }
  }

  #makeHandler(worker: SimWorker): Handler {
    const ledger = new Ledger();
    this.#ledgers.set(worker, ledger);
    const handler = makeHandler(this.#kind, ledger, this.#random, this.#bytesMax);
    return addMessages(handler, this.#random, worker.setup.count);
  }

  async run(): Promise<TrialResult> {
    try {
      await this.#run();
    } catch (error) {
      this.#threads.restore();
      throw error;
    }
    const { world } = this;
    const connections = this.#opened;
    const { steps } = world.counters;
    const faults = world.faults.counts;
    return { hash: world.traceHash, kind: 'engine', steps, connections, faults };
  }

  async #run(): Promise<void> {
    const { world } = this;
    const random = this.#random;
    const rates = { ...world.faults.rates };
    if (random.chance(0.6)) {
      Object.assign(rates, new Faults('swarm', new Random(world.seed, 51)).rates);
      // Only letters have blocks, and there are few.
      rates.blockNoMemory = random.pick([0, 0.2]);
    }
    if (random.chance(0.2)) {
      Object.assign(world.faults.rates, rates);
    }
    if (!(await this.#start())) {
      return;
    }
    Object.assign(world.faults.rates, rates);
    const clients = random.between(2, 8);
    for (let i = 0; i < clients; i += 1) {
      this.#addClient(i);
    }
    const deaths = random.pick([0, 0, 1, 1, 2, 3]);
    for (let i = 0; i < deaths; i += 1) {
      const isAimed = random.chance(0.5);
      world.later(random.between(0, 150), () => (isAimed ? this.#aim() : this.#killOne()));
    }
    const isInTheMidst = random.chance(0.5);
    const rudeMs = random.between(5, isInTheMidst ? 100 : 400);
    await this.#runFor(rudeMs);
    if (isInTheMidst) {
      await this.#close(random.pick([0, 20, 500, 2_000]));
    }
    world.faults.stop();
    for (const { program } of this.#threads.live) {
      for (const check of program!.checks) {
        check.isStrict = true;
      }
    }
    await this.#bePolite();
    if (!isInTheMidst) {
      await this.#until('the process comes to rest', () => this.#isAtRest());
      this.#aims = 0;
      assert.equal(this.#threads.live.length, this.#server.reactorCount, 'the dead are replaced');
      if (this.#mayProbe) {
        await this.#probe();
      }
      await this.#close(1_000);
    }
    await this.#until('all is delivered', () => world.timeline.pending === 0);
    this.#check();
  }

  /** False when the server did not start, because of faults: then nothing of it may be left. */
  async #start(): Promise<boolean> {
    let failure: unknown;
    const start = this.#server.start(this.#addresses).catch((error: unknown) => {
      failure = error;
    });
    await this.#finish('start', start);
    if (failure === undefined) {
      return true;
    }
    const text = String(failure);
    assert.ok(failure instanceof SystemError || text.includes('out of memory'), text);
    await this.#finish('close', this.#server.closed);
    this.#check();
    return false;
  }

  #addClient(i: number): void {
    const random = this.#random;
    const isRude = random.chance(0.1);
    const peer = this.world.peer({
      readMax: Math.floor(random.logarithmic(1, 65_536)),
      writeMax: Math.floor(random.logarithmic(1, 65_536)),
      isReadingStopped: random.chance(0.25),
      resetChance: isRude ? 0.02 : 0,
    });
    const nonce = (this.world.seed * 8 + i) >>> 0;
    const total = random.between(0, this.#bytesMax);
    const address = random.pick(this.#server.addresses);
    this.#clients.push({ peer, nonce, isRude });
    this.world.later(random.between(0, 200), () => {
      peer.connect(address);
      peer.send(streamBytes(nonce, 0, total));
      if (random.chance(0.5)) {
        peer.end();
      }
    });
  }

  /** The next thread that has mail which it has not seen is to die. */
  #aim(): void {
    this.#aims += 1;
  }

  #shoot(): void {
    const target = this.#threads.live.find(({ letters }) => letters > 0);
    if (target !== undefined) {
      this.#aims -= 1;
      target.die();
    }
  }

  #killOne(): void {
    const { live } = this.#threads;
    if (live.length > 0) {
      const worker = this.#random.pick(live);
      worker.die();
    }
  }

  /** Everybody reads and ends; who came to a closed server gives up. */
  async #bePolite(): Promise<void> {
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
    });
    await this.#until('every client sees an end', () =>
      this.#clients.every(({ peer }) => peer.isOver),
    );
  }

  /** With everything at rest there is room for as many as may be: each is taken, whatever died before. */
  async #probe(): Promise<void> {
    const before = this.#opened;
    const count = this.#server.reactorCount;
    const peers = Array.from({ length: count }, () => this.world.peer());
    for (const [i, peer] of peers.entries()) {
      const nonce = (this.world.seed * 8 + 2 ** 31 + i) >>> 0;
      this.#clients.push({ peer, nonce, isRude: false });
      peer.connect(this.#random.pick(this.#server.addresses));
      peer.send(streamBytes(nonce, 0, 4));
    }
    await this.#until('new clients are served', () => this.#opened >= before + count);
    await this.#bePolite();
    await this.#until('the process comes to rest again', () => this.#isAtRest());
  }

  /** Connections opened so far. */
  get #opened(): number {
    let opened = 0;
    for (const { entries } of this.#ledgers.values()) {
      opened += entries.length;
    }
    return opened;
  }

  async #close(deadlineMs: number): Promise<void> {
    this.#closeStart = this.world.now;
    this.#deadline = this.world.now + deadlineMs;
    const { live } = this.#threads;
    await this.#finish('close', this.#server.close({ deadlineMs }));
    for (const { wasKilled, hasDied } of live) {
      assert.ok(hasDied || !wasKilled, 'a thread that lives ends by itself');
    }
  }

  #isAtRest(): boolean {
    const { kernels, timeline } = this.world;
    if (timeline.pending > 0) {
      return false;
    }
    return kernels.every(
      ({ host }) =>
        host.deferredCount === 0 &&
        host.doorbells.every(({ isRinging }) => !isRinging) &&
        host.alarms.every(({ isSet }) => !isSet),
    );
  }

  #check(): void {
    const alive = [];
    for (const [worker, ledger] of this.#ledgers) {
      for (const entry of ledger.entries) {
        if (!worker.wasKilled) {
          entry.finish();
          alive.push(entry);
        }
        assert.ok(entry.closed <= 1, 'one close at most');
        this.#checkShutdown(entry);
      }
    }
    for (const { peer, nonce } of this.#clients) {
      checkStream(nonce, 0, peer.received(), `received by client ${nonce}`);
    }
    checkEnds(alive, this.#clients);
    this.#threads.uninstall();
    assert.equal(this.#threads.registry.count(), 0, 'descriptors that nobody has');
    this.world.finish();
  }

  /** A graceful shutdown cuts nobody off before its deadline: all bytes go out, and nobody is reset. */
  #checkShutdown({ reason, closedAt, nonce }: Entry): void {
    if (reason?.code !== 'shutdown' || closedAt >= this.#deadline) {
      return;
    }
    assert.equal(reason.unsentBytes, 0, `cut off ${this.#deadline - closedAt} ms too early`);
    const { receiveReset, sendReset } = this.world.faults.counts;
    const client = this.#clients.find((candidate) => candidate.nonce === nonce);
    const isPrompt = closedAt < this.#closeStart + this.#lingerMs;
    if (client !== undefined && !client.isRude && isPrompt && receiveReset + sendReset === 0) {
      assert.equal(client.peer.error, 0, 'reset by a graceful shutdown');
    }
  }

  #inspect(): void {
    for (const { program } of this.#threads.live) {
      for (const check of program!.checks) {
        check.inspect();
      }
    }
  }

  async #runFor(milliseconds: number): Promise<void> {
    let isDue = false;
    this.world.later(milliseconds, () => {
      isDue = true;
    });
    await this.#until('time goes by', () => isDue);
  }

  /** Runs until a promise is settled. */
  async #finish(what: string, promise: Promise<unknown>): Promise<void> {
    let isSettled = false;
    const settled = promise.then(
      () => {
        isSettled = true;
      },
      (error: Error) => {
        this.#strange ??= error;
      },
    );
    await this.#until(`the end of ${what}`, () => isSettled);
    await settled;
  }

  async #until(what: string, condition: () => boolean): Promise<void> {
    const until = () => {
      this.#stepsToInspect -= 1;
      if (this.#stepsToInspect < 0) {
        this.#stepsToInspect = INSPECT_EVERY;
        this.#inspect();
      }
      if (this.#aims > 0) {
        this.#shoot();
      }
      return this.#strange !== undefined || condition();
    };
    const holds = await this.world.run({ until, maxSteps: STEPS_MAX });
    if (this.#strange !== undefined) {
      throw this.#strange;
    }
    assert.ok(holds, `${what} is not reached: ${this.#describe()}`);
  }

  #describe(): string {
    const open = this.#clients.filter(({ peer }) => !peer.isOver);
    const { live, workers } = this.#threads;
    return `${this.#kind}, ${live.length} of ${workers.length} threads live, ${open.length} clients open`;
  }
}
