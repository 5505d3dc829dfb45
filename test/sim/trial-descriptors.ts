/**
 * The trial of descriptors: something else in the process takes all that are left, for a while. Meanwhile the server
 * must not spin, and once there are some again it has a tenth of a second: then whoever came in the meantime is served
 * or was sent away, and whoever comes is served.
 */

import assert from 'node:assert/strict';

import { Counter } from '../../src/connection/stats.js';
import { SystemError } from '../../src/errors.js';
import { Random } from './random.js';
import type { SimKernel } from './sim-kernel.js';
import type { SimPeer } from './sim-peer.js';
import { SimWorld } from './sim-world.js';
import { type DriverKind, descriptorsMore } from './trial-driver.js';
import { makeHandler } from './trial-handlers.js';
import { Ledger, streamBytes } from './trial-ledger.js';
import { TrialReactors } from './trial-reactors.js';
import type { TrialResult } from './trial-result.js';

/** The listener looks for a descriptor that often (listener.ts). */
const RETRY_MS = 100;
/** What a client sends and wants back: fits the smallest buffers. */
const MESSAGE_BYTES = 6;
/** Turns that one event may cost on all reactors together: hand-overs, the empty turn before rest, closing. */
const TURNS_EACH = 5;
const STEPS_MAX = 400_000;

interface Client {
  readonly peer: SimPeer;
  /** Came when there were descriptors again. */
  readonly isLate: boolean;
}

export class DescriptorTrial {
  readonly world: SimWorld;
  readonly #random: Random;
  readonly #ledger = new Ledger();
  readonly #reactors: TrialReactors;
  readonly #others: SimKernel;
  readonly #hoard: number[] = [];
  readonly #clients: Client[] = [];
  readonly #latencyMs: number;
  #isHoarding = false;
  #strange: Error | undefined;
  /** Things that happened while there were no descriptors, each of which may cost some turns. */
  #events = 0;

  constructor(seed: number, driver: DriverKind, traceLines: number) {
    const random = new Random(seed, 60);
    this.#random = random;
    const limit = random.between(24, 48) + descriptorsMore(driver);
    const isSystemWide = random.chance(0.2);
    this.world = new SimWorld({
      seed,
      traceLines,
      shape: {
        jumpChance: 0,
        descriptorLimit: isSystemWide ? 1_024 : limit,
        systemLimit: isSystemWide ? limit : 100_000,
      },
    });
    this.#latencyMs = this.world.shape.latencyMaxMs;
    const options = {
      connection: { writeTimeoutMs: 4_000_000_000, lingerTimeoutMs: 4_000_000_000 },
      connectionsMax: 100,
      refuseWhenMax: random.chance(0.5),
      receiveBytes: 4_096,
      receiveBudget: 16_384,
      acceptBudget: random.between(1, 8),
      blockBytesMax: 1 << 24,
    };
    this.#reactors = new TrialReactors(this.world, driver, options, (error) => {
      if (!(error instanceof SystemError)) {
        this.#strange ??= error;
      }
    });
    this.#others = this.world.kernel('others');
  }

  async run(): Promise<TrialResult> {
    const { world } = this;
    const random = this.#random;
    const handler = makeHandler('echo', this.#ledger, random, 0);
    const listen = ['tcp://127.0.0.1:80', 'unix-abstract://trial'];
    this.#reactors.start(handler, listen, random.chance(0.3) ? 2 : 0);
    this.#reactors.beStrict();
    const early = random.between(0, 4);
    for (let i = 0; i < early; i += 1) {
      this.#connect(false);
    }
    this.#runFor(this.#slackMs);
    this.#fill(random.between(20, 900));
    this.#checkAll();
    const late = random.between(1, 4);
    for (let i = 0; i < late; i += 1) {
      this.#connect(true);
    }
    this.#runFor(this.#slackMs);
    this.#checkAll();
    this.#end();
    return {
      hash: world.traceHash,
      kind: 'descriptors',
      steps: world.counters.steps,
      connections: this.#ledger.entries.length,
      faults: world.faults.counts,
    };
  }

  /** For a handshake, a message and its answer: each segment takes up to the latency, and a wait some steps. */
  get #slackMs(): number {
    return this.#latencyMs * 6 + 5;
  }

  /** Takes all descriptors for so long, while clients come and go; then waits as long as the server may take. */
  #fill(forMs: number): void {
    const { world } = this;
    const random = this.#random;
    this.#isHoarding = true;
    this.#takeAll();
    this.#events = 0;
    const isGreedy = random.chance(0.5);
    for (let at = random.between(1, 40); isGreedy && at < forMs; at += random.between(1, 40)) {
      world.later(at, () => this.#takeAll());
    }
    const comers = random.between(0, 6);
    for (let i = 0; i < comers; i += 1) {
      world.later(random.between(0, forMs), () => this.#connect(false));
    }
    for (const { peer } of this.#clients) {
      if (random.chance(0.3)) {
        this.#events += 1;
        world.later(random.between(0, forMs), () => peer.end());
      }
    }
    const before = this.#reactors.count(Counter.turns);
    this.#runFor(forMs);
    const turns = this.#reactors.count(Counter.turns) - before;
    // Two listeners look once in a while; each descriptor that comes and goes is another event.
    const rounds = 2 * (Math.ceil(forMs / RETRY_MS) + 1);
    const most = TURNS_EACH * (rounds + this.#events);
    assert.ok(turns <= most, `${turns} turns in ${forMs} ms without descriptors, at most ${most}`);
    this.#isHoarding = false;
    this.#giveBack();
    this.#runFor(RETRY_MS + this.#slackMs);
  }

  #takeAll(): void {
    while (this.#isHoarding) {
      const fd = this.#others.eventfd();
      if (fd < 0) {
        return;
      }
      this.#hoard.push(fd);
      this.#events += 1;
    }
  }

  #giveBack(): void {
    for (const fd of this.#hoard.splice(0)) {
      this.#others.close(fd);
    }
  }

  #connect(isLate: boolean): void {
    const peer = this.world.peer();
    const nonce = (this.world.seed * 64 + this.#clients.length) >>> 0;
    this.#clients.push({ peer, isLate });
    this.#events += 1;
    peer.connect(this.#random.pick(this.#reactors.addresses));
    peer.send(streamBytes(nonce, 0, MESSAGE_BYTES));
  }

  /** Each client has its answer, or was sent away, which may not happen to the late ones. */
  #checkAll(): void {
    for (const { peer, isLate } of this.#clients) {
      const isServed = peer.bytesReceived === MESSAGE_BYTES;
      const wasSentAway = !isLate && peer.isOver;
      assert.ok(isServed || wasSentAway, `a client waits: ${this.world.now} ms, late ${isLate}`);
    }
  }

  #runFor(milliseconds: number): void {
    let isDue = false;
    this.world.later(milliseconds, () => {
      isDue = true;
    });
    this.#until(() => isDue);
  }

  #until(condition: () => boolean): void {
    const until = () => this.#strange !== undefined || condition();
    const holds = this.world.runSync({ until, maxSteps: STEPS_MAX });
    this.#reactors.inspect();
    if (this.#strange !== undefined) {
      throw this.#strange;
    }
    assert.ok(holds, 'it does not end');
  }

  #end(): void {
    for (const { peer } of this.#clients) {
      peer.end();
    }
    this.#until(
      () =>
        this.#clients.every(({ peer }) => peer.isOver) &&
        this.#reactors.connectionCount === 0 &&
        this.#reactors.lettersUnderWay === 0,
    );
    this.#ledger.finish();
    this.#reactors.checkEmpty();
    this.#reactors.closeAll();
    this.world.runSync({ until: () => false, maxSteps: 200 });
    assert.equal(this.#reactors.destroy(), 0, 'no leaked blocks');
    this.world.runSync({ until: () => false, maxSteps: 200 });
    this.world.finish();
  }
}
