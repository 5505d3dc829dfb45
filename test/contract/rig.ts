/** What the driver contract's suites share: a driver under test, what it reports, and raw peers. */

import assert from 'node:assert/strict';

import type { Kernel } from '../../src/base/kernel.js';
import { AF_INET, SO_LINGER, SOCK_STREAM, SOL_SOCKET } from '../../src/base/linux.js';
import type {
  Completions,
  Driver,
  DriverOptions,
  SendVector,
} from '../../src/connection/driver.js';

export interface DriverEnvironment {
  readonly kernel: Kernel;
  createDriver(completions: Completions, options: DriverOptions): Driver;
  /** Lets the world go on a little: packets arrive. */
  step(): Promise<void>;
  /** A descriptor of a fresh file with that content, and how to cut it to a length. The caller closes it. */
  openFile(bytes: Buffer): { fd: number; truncate(byteLength: number): void };
  /** Makes the descriptor table full from here on; the answer frees it. Undefined where that is not possible. */
  fillDescriptors?(): () => void;
}

export const OPTIONS: DriverOptions = {
  slots: 640,
  receiveBytes: 4096,
  receiveBudget: 16_384,
  acceptBudget: 4,
  batch: 32,
  requestPoll: () => {},
};

/** A part of a file among what is to be sent. */
export interface QueuedFile {
  readonly fd: number;
  readonly offset: number;
  readonly byteLength: number;
}

/** Records completions as lines, and plays the owner of the slots. */
export class Recorder implements Completions {
  readonly lines: string[] = [];
  readonly received$ = new Map<number, Buffer>();
  readonly accepted$: number[] = [];
  readonly queues = new Map<number, (Buffer | QueuedFile)[]>();
  onReceived: (slot: number, bytes: Buffer) => void = () => {};
  onAccepted: (slot: number, fd: number) => void = () => {};
  onEnded: (slot: number) => void = () => {};
  onReady: (slot: number, events: number) => void = () => {};

  accepted(slot: number, fd: number): void {
    this.lines.push(`accepted ${slot}`);
    this.accepted$.push(fd);
    this.onAccepted(slot, fd);
  }

  acceptFailed(slot: number, errno: number): void {
    this.lines.push(`acceptFailed ${slot} ${errno}`);
  }

  connected(slot: number, errno: number): void {
    this.lines.push(`connected ${slot} ${errno}`);
  }

  received(slot: number, bytes: Buffer): void {
    assert.ok(bytes.byteLength > 0);
    this.lines.push(`received ${slot}`);
    const before = this.received$.get(slot) ?? Buffer.alloc(0);
    this.received$.set(slot, Buffer.concat([before, bytes]));
    this.onReceived(slot, bytes);
  }

  receiveEnded(slot: number): void {
    this.lines.push(`ended ${slot}`);
    this.onEnded(slot);
  }

  sent(slot: number, byteLength: number): void {
    assert.ok(byteLength > 0);
    this.lines.push(`sent ${slot}`);
    this.consume(slot, byteLength);
  }

  failed(slot: number, errno: number): void {
    this.lines.push(`failed ${slot} ${errno}`);
  }

  ready(slot: number, events: number): void {
    this.lines.push(`ready ${slot} ${events}`);
    this.onReady(slot, events);
  }

  closed(slot: number): void {
    this.lines.push(`closed ${slot}`);
  }

  woken(): void {
    this.lines.push('woken');
  }

  gather(slot: number, vector: SendVector): void {
    for (const piece of this.queues.get(slot) ?? []) {
      const isTaken = Buffer.isBuffer(piece)
        ? vector.appendBytes(piece)
        : vector.appendFile(piece.fd, piece.offset, piece.byteLength);
      if (!isTaken || !Buffer.isBuffer(piece)) {
        return;
      }
    }
  }

  consume(slot: number, byteLength: number): void {
    const queue = this.queues.get(slot)!;
    let rest = byteLength;
    while (rest > 0) {
      const head = queue[0];
      if (head.byteLength <= rest) {
        rest -= head.byteLength;
        queue.shift();
      } else {
        queue[0] = Buffer.isBuffer(head)
          ? head.subarray(rest)
          : { fd: head.fd, offset: head.offset + rest, byteLength: head.byteLength - rest };
        rest = 0;
      }
    }
  }

  queuedBytes(slot: number): number {
    return (this.queues.get(slot) ?? []).reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  count(line: string): number {
    return this.lines.filter((each) => each === line).length;
  }
}

export function loopback(port: number): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes.set([AF_INET, 0, port >> 8, port & 255, 127, 0, 0, 1]);
  return bytes;
}

/** One driver and its peers, for one test. */
export class Rig {
  readonly environment: DriverEnvironment;
  readonly kernel: Kernel;
  readonly recorder = new Recorder();
  readonly driver: Driver;
  readonly open = new Set<number>();

  constructor(environment: DriverEnvironment) {
    this.environment = environment;
    this.kernel = environment.kernel;
    this.driver = environment.createDriver(this.recorder, OPTIONS);
  }

  destroy(): void {
    this.driver.destroy();
    for (const fd of this.open) {
      this.kernel.close(fd);
    }
  }

  async until(condition: () => boolean, what: string): Promise<void> {
    for (let i = 0; i < 2_000; i += 1) {
      this.driver.poll();
      if (condition()) {
        return;
      }
      await this.environment.step();
    }
    assert.fail(`${what} did not happen; so far: ${this.recorder.lines.join(', ')}`);
  }

  async idle(): Promise<void> {
    for (let i = 0; i < 20; i += 1) {
      this.driver.poll();
      await this.environment.step();
    }
  }

  track(fd: number): number {
    assert.ok(fd >= 0, `expected a descriptor, got ${fd}`);
    this.open.add(fd);
    return fd;
  }

  closePeer(fd: number): void {
    this.open.delete(fd);
    this.kernel.close(fd);
  }

  resetPeer(fd: number): void {
    this.kernel.setSocketOption(
      fd,
      SOL_SOCKET,
      SO_LINGER,
      new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]),
    );
    this.closePeer(fd);
  }

  listenRaw(backlog = 16): { fd: number; port: number } {
    const fd = this.kernel.socket(AF_INET, SOCK_STREAM, 0);
    assert.equal(this.kernel.bind(fd, loopback(0)), 0);
    assert.equal(this.kernel.listen(fd, backlog), 0);
    const address = new Uint8Array(16);
    this.kernel.getSocketName(fd, address);
    return { fd, port: (address[2] << 8) | address[3] };
  }

  connectRaw(port: number): number {
    const fd = this.track(this.kernel.socket(AF_INET, SOCK_STREAM, 0));
    this.kernel.connect(fd, loopback(port));
    return fd;
  }

  /** A connection between the driver's slot and a raw peer. */
  async pair(slot: number): Promise<number> {
    const listener = this.listenRaw();
    const peer = this.connectRaw(listener.port);
    let fd = -1;
    for (let i = 0; i < 2_000 && fd < 0; i += 1) {
      fd = this.kernel.accept(listener.fd);
      await this.environment.step();
    }
    this.kernel.close(listener.fd);
    assert.ok(fd >= 0);
    assert.equal(this.driver.open(slot, fd), 0);
    return peer;
  }

  async readRaw(fd: number, byteLength: number): Promise<Buffer> {
    const region = this.kernel.allocate(65_536);
    const chunks: Buffer[] = [];
    let total = 0;
    for (let i = 0; i < 400_000 && total < byteLength; i += 1) {
      const n = this.kernel.receive(fd, region);
      if (n > 0) {
        chunks.push(Buffer.from(region.bytes.subarray(0, n)));
        total += n;
      } else if (n === 0) {
        break;
      } else {
        this.driver.poll();
        await this.environment.step();
      }
    }
    this.kernel.release(region);
    return Buffer.concat(chunks);
  }

  async readEnd(fd: number): Promise<number> {
    const region = this.kernel.allocate(16);
    let n = -11;
    for (let i = 0; i < 2_000 && n === -11; i += 1) {
      n = this.kernel.receive(fd, region);
      this.driver.poll();
      await this.environment.step();
    }
    this.kernel.release(region);
    return n;
  }
}
