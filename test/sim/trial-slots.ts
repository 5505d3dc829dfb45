/**
 * The trial of slots: a driver alone, with a user who in the midst of a batch closes slots whose connections live on in
 * duplicates of their descriptors, opens those in other slots, and uses slots again as soon as that is allowed. Bytes
 * must come in the order of their stream, in whatever slot it is read, and no failure or end from anybody but the peer.
 *
 * What it catches: registrations that outlive their slot, since closing does not end one while a duplicate lives. What
 * no trial can: the epoll driver without its comparison of generations, alone. An event of a former use can only be in
 * the batch in which the slot was closed, since the registration is taken out explicitly; and in that batch the slot is
 * still being closed, since `closed` is reported at its end and the contract forbids to use the slot before. The
 * comparison is the second line, for a registration that was not taken out.
 */

import assert from 'node:assert/strict';

import { parseAddress } from '../../src/base/address.js';
import type { Region } from '../../src/base/kernel.js';
import { releaseCachedRegions } from '../../src/base/region-cache.js';
import type { Completions, SendVector } from '../../src/connection/driver.js';
import { listenOn } from '../../src/connection/listen-socket.js';
import { DriverMonitor } from './check-driver.js';
import { Random } from './random.js';
import { SimEpoll } from './sim-epoll.js';
import type { SimKernel } from './sim-kernel.js';
import type { SimPeer } from './sim-peer.js';
import { SimWorld } from './sim-world.js';
import { createTrialDriver, type DriverKind } from './trial-driver.js';
import { checkStream, NONCE_BYTES, streamBytes } from './trial-ledger.js';
import type { TrialResult } from './trial-result.js';

const LISTENER = 0;
const SLOTS = 12;
const ROUNDS = 120;
const BYTES_MAX = 1_500;

interface Client {
  readonly peer: SimPeer;
  readonly total: number;
  isResetting: boolean;
}

/** What a descriptor is to the trial, whatever slot it is in. */
interface Stream {
  fd: number;
  readonly head: Buffer;
  received: number;
  client: Client | undefined;
  isEnded: boolean;
}

export class SlotTrial implements Completions {
  readonly world: SimWorld;
  readonly #random: Random;
  readonly #kernel: SimKernel;
  readonly #driver: DriverMonitor;
  readonly #region: Region;
  readonly #clients = new Map<number, Client>();
  /** By slot. */
  readonly #streams: (Stream | undefined)[] = new Array(SLOTS).fill(undefined);
  /** Slots that may be opened: `closed` gives one back only after its batch. */
  readonly #free: number[] = [];
  readonly #closed: number[] = [];
  /** Closed in one slot, not opened in another yet. */
  readonly #homeless: Stream[] = [];
  #accepted = 0;
  #isOver = false;

  constructor(seed: number, driver: DriverKind, traceLines: number) {
    const random = new Random(seed, 62);
    this.#random = random;
    this.world = new SimWorld({ seed, traceLines });
    this.#kernel = this.world.kernel('driver');
    this.#region = this.#kernel.allocate(256);
    const options = {
      slots: SLOTS,
      receiveBytes: random.pick([16, 256, 4_096]),
      receiveBudget: random.pick([16, 1_024]),
      acceptBudget: random.between(1, 4),
      batch: random.pick([2, 16, 64]),
      requestPoll: () => {},
    };
    this.#driver = new DriverMonitor(this, options, (completions) =>
      createTrialDriver(driver, this.#kernel, completions, options),
    );
    for (let slot = LISTENER + 1; slot < SLOTS; slot += 1) {
      this.#free.push(slot);
    }
  }

  async run(): Promise<TrialResult> {
    const { world } = this;
    const random = this.#random;
    const [socket] = listenOn(this.#kernel, parseAddress('tcp://127.0.0.1:0'), {});
    assert.equal(this.#driver.listen(LISTENER, socket.fd), 0);
    this.#driver.accept(LISTENER);
    const clients = random.between(3, SLOTS - 2);
    for (let i = 0; i < clients; i += 1) {
      this.#addClient((world.seed * 16 + i) >>> 0, socket.url);
    }
    for (let round = 0; round < ROUNDS; round += 1) {
      // The longer the world runs by itself, the more events come in one batch.
      const steps = random.between(1, 60);
      world.runSync({ until: () => false, maxSteps: steps });
      this.#meddle(0.3);
      this.#poll();
    }
    this.#end();
    return {
      hash: world.traceHash,
      kind: 'slots',
      steps: world.counters.steps,
      connections: this.#accepted,
      faults: world.faults.counts,
    };
  }

  #addClient(nonce: number, address: string): void {
    const random = this.#random;
    const peer = this.world.peer({ writeMax: random.between(8, 600) });
    const total = random.between(NONCE_BYTES, BYTES_MAX);
    const client = { peer, total, isResetting: false };
    this.#clients.set(nonce, client);
    this.world.later(random.between(0, 20), () => {
      peer.connect(address);
      peer.send(streamBytes(nonce, 0, total));
      if (random.chance(0.4)) {
        peer.end();
      }
    });
    if (random.chance(0.6)) {
      this.world.later(random.between(5, 80), () => {
        client.isResetting = true;
        peer.reset();
      });
    }
  }

  #poll(): void {
    this.#driver.poll();
    this.#free.push(...this.#closed.splice(0));
    while (this.#random.chance(0.6)) {
      this.#house();
    }
    const epoll = this.world.table.peek(this.#driver.doorbellDescriptor);
    if (epoll instanceof SimEpoll) {
      this.#driver.checkInterest(epoll);
    }
  }

  // What the user does at any time, between batches and inside of them.

  #meddle(probability: number): void {
    const random = this.#random;
    while (!this.#isOver && random.chance(probability)) {
      const doomed = random.chance(0.6) ? this.#doomedSlot() : -1;
      const slot = doomed < 0 ? this.#anySlot() : doomed;
      const stream = this.#streams[slot];
      if (doomed >= 0) {
        this.#move(doomed);
      } else if (stream !== undefined) {
        this.#change(slot, stream);
      }
    }
  }

  #anySlot(): number {
    return this.#random.between(LISTENER + 1, SLOTS - 1);
  }

  /** One whose peer is gone, -1 for none: its events are those that do harm to another use of the slot. */
  #doomedSlot(): number {
    return this.#streams.findIndex((stream) => stream?.client?.isResetting === true);
  }

  #change(slot: number, stream: Stream): void {
    const random = this.#random;
    const { isPending } = this.#driver.slot(slot)!;
    const way = random.below(8);
    if (way === 0) {
      this.#driver.stopReceive(slot);
    } else if (way === 1 && !stream.isEnded) {
      this.#driver.receive(slot);
    } else if (way === 2 && !isPending) {
      this.#send(slot);
    } else if (way === 3 && random.chance(0.2)) {
      this.#close(slot);
    } else if (way < 6) {
      this.#move(slot);
    } else {
      this.#house();
    }
  }

  /** Closes the slot; the connection lives on in a duplicate. */
  #move(slot: number): void {
    const stream = this.#streams[slot]!;
    const fd = this.#driver.slot(slot)!.isPending ? -1 : this.#kernel.duplicate(stream.fd);
    if (fd >= 0) {
      this.#streams[slot] = undefined;
      this.#driver.close(slot, false);
      stream.fd = fd;
      this.#homeless.push(stream);
    }
  }

  /** Opens a connection that has no slot in one that is free. */
  #house(): void {
    if (this.#free.length > 0 && this.#homeless.length > 0) {
      this.#open(this.#random.pick(this.#free), this.#homeless.shift()!);
    }
  }

  #open(slot: number, stream: Stream): void {
    this.#free.splice(this.#free.indexOf(slot), 1);
    assert.equal(this.#driver.open(slot, stream.fd), 0);
    this.#streams[slot] = stream;
    stream.isEnded = false;
    const way = this.#random.below(4);
    if (way === 0) {
      this.#driver.receive(slot);
    } else if (way < 3) {
      // Watched for errors alone.
      this.#driver.stopReceive(slot);
    }
  }

  #send(slot: number): void {
    const n = this.#driver.send(slot);
    // A peer that has reset us shows here first, or a shutdown of its own.
    if (n < 0 && !this.#driver.slot(slot)!.isPending) {
      assert.ok(this.#mayFail(this.#streams[slot]!), `send failed with errno ${-n}`);
      this.#close(slot);
    }
  }

  #close(slot: number): void {
    this.#streams[slot] = undefined;
    this.#driver.close(slot, this.#random.chance(0.5));
  }

  /** Whether its peer, as far as it is known, has reset the connection or is gone. */
  #mayFail({ client }: Stream): boolean {
    if (client !== undefined) {
      return client.isResetting || client.peer.isOver;
    }
    return [...this.#clients.values()].some(({ isResetting, peer }) => isResetting || peer.isOver);
  }

  // Completions.

  accepted(slot: number, fd: number): void {
    assert.equal(slot, LISTENER);
    const head = Buffer.alloc(NONCE_BYTES);
    const stream = { fd, head, received: 0, client: undefined, isEnded: false };
    this.#accepted += 1;
    this.#homeless.push(stream);
    this.#house();
    this.#meddle(0.7);
  }

  acceptFailed(_slot: number, errno: number): void {
    assert.fail(`accept failed with errno ${errno} though nothing was wrong`);
  }

  connected(): void {
    assert.fail('nobody connects');
  }

  received(slot: number, bytes: Buffer): void {
    const stream = this.#streams[slot]!;
    for (let i = 0; i < bytes.length && stream.received + i < NONCE_BYTES; i += 1) {
      stream.head[stream.received + i] = bytes[i];
    }
    const before = stream.received;
    stream.received += bytes.length;
    if (stream.received >= NONCE_BYTES) {
      const nonce = stream.head.readUInt32LE(0);
      stream.client = this.#clients.get(nonce);
      assert.ok(stream.client !== undefined, `bytes of nobody: ${nonce}`);
      const skip = Math.max(0, NONCE_BYTES - before);
      checkStream(nonce, before + skip, bytes.subarray(skip), 'received in some slot');
    }
    this.#meddle(0.7);
  }

  receiveEnded(slot: number): void {
    const stream = this.#streams[slot]!;
    const { client } = stream;
    if (client !== undefined) {
      assert.ok(client.peer.hasSentEnd, 'the end of a stream whose peer has not ended it');
      assert.equal(stream.received, client.total, 'all bytes before the end');
    }
    stream.isEnded = true;
    this.#meddle(0.7);
  }

  sent(): void {
    this.#meddle(0.7);
  }

  failed(slot: number, errno: number): void {
    assert.ok(
      this.#mayFail(this.#streams[slot]!),
      `slot ${slot} failed with ${errno}: not its own`,
    );
    this.#close(slot);
    this.#meddle(0.7);
  }

  closed(slot: number): void {
    if (slot !== LISTENER) {
      this.#closed.push(slot);
    }
  }

  ready(slot: number): void {
    assert.fail(`ready of slot ${slot}, and nothing is watched`);
  }

  woken(): void {}

  gather(_slot: number, vector: SendVector): void {
    vector.append(this.#region.address, this.#region.bytes.length);
  }

  #end(): void {
    const { world } = this;
    this.#isOver = true;
    for (const [slot, stream] of this.#streams.entries()) {
      if (stream !== undefined) {
        this.#close(slot);
      }
    }
    for (const { fd } of this.#homeless.splice(0)) {
      this.#kernel.close(fd);
    }
    this.#driver.close(LISTENER, false);
    this.#poll();
    assert.equal(this.#free.length, SLOTS - 1, 'all slots are free');
    this.#driver.destroy();
    this.#kernel.release(this.#region);
    releaseCachedRegions(this.#kernel);
    for (const { peer } of this.#clients.values()) {
      peer.startReading();
      peer.end();
    }
    world.runSync({ until: () => false, maxSteps: 20_000 });
    world.finish();
  }
}
