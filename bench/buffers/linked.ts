/**
 * Our reader: received bytes are borrowed from the driver's one receive buffer, and what a hook leaves is kept in
 * pooled blocks. The pool, the receive buffer and the cached views are those of one reactor.
 */

import { LinuxKernel } from '../../src/base/linux-kernel.js';
import { BlockPool } from '../../src/connection/block-pool.js';
import { ViewCache } from '../../src/connection/drivers/view-cache.js';
import { takeBuffer } from '../../src/connection/linked-buffer.js';
import { ConnectionReader } from '../../src/connection/stream.js';
import type { Contender, ContenderKind } from './contender.js';

const RECEIVE_BYTES = 65536;

const kernel = new LinuxKernel();
const pool = new BlockPool(kernel, { bytesMax: 2 ** 31 });
const receiveBuffer = kernel.allocate(RECEIVE_BYTES).bytes;
const views = new ViewCache(receiveBuffer);

export class LinkedContender implements Contender {
  wanted = -1;
  readonly #reader = new ConnectionReader(pool);

  get length(): number {
    return this.#reader.length;
  }

  receive(network: Buffer, from: number, to: number): void {
    network.copy(receiveBuffer, 0, from, to);
    this.#reader.borrow(views.first(to - from));
  }

  readUint32(): number | undefined {
    return this.#reader.readUint32();
  }

  next(n: number): Buffer | undefined {
    return this.#reader.next(n);
  }

  skip(n: number): boolean {
    return this.#reader.skip(n);
  }

  forward(n: number, socket: Buffer): void {
    const chain = takeBuffer(pool);
    this.#reader.moveTo(chain, n);
    let at = 0;
    for (let node = chain.head; node !== null; node = node.next) {
      at += node.bytes.copy(socket, at, node.start, node.end);
    }
    chain.clear();
    pool.spareBuffers.push(chain);
  }

  endTurn(): void {
    this.#reader.settle();
  }
}

export const linked: ContenderKind = {
  name: 'linked blocks',
  make: () => new LinkedContender(),
  offHeapBytes: () => pool.freeBytes + pool.usedBytes - pool.counters.heapBytes,
  trim: () => {
    pool.trim();
  },
};
