/**
 * Off-heap memory in memory: what block pools need of the kernel, for tests and benchmarks. It plays the allocator and
 * AddressSanitizer at once: each region has red zones on both sides, which `release` and `check` look at, a region
 * that is released is filled with 0xFD, and releasing or discarding what is not allocated throws.
 */

import type { Kernel, Region } from '../../src/base/kernel.js';

const RED_ZONE = 64;
const RED_ZONE_BYTE = 0xfa;
const RELEASED_BYTE = 0xfd;
/** Discarded pages read as anything; this value makes a stale read show. */
const DISCARDED_BYTE = 0xee;
const FIRST_ADDRESS = 0x1000_0000;

interface Allocation {
  readonly region: Region;
  readonly whole: Buffer;
}

export class MemoryKernel implements Pick<Kernel, 'allocate' | 'release' | 'discard'> {
  readonly allocations = new Map<number, Allocation>();
  allocateCalls = 0;
  releaseCalls = 0;
  discardCalls = 0;
  /** The next so many calls of `allocate` throw. */
  failures = 0;
  #nextAddress = FIRST_ADDRESS;

  /** Bytes of all regions that were not released. */
  get allocatedBytes(): number {
    let sum = 0;
    for (const { region } of this.allocations.values()) {
      sum += region.bytes.length;
    }
    return sum;
  }

  allocate(byteLength: number): Region {
    if (this.failures > 0) {
      this.failures -= 1;
      throw new Error('out of memory');
    }
    this.allocateCalls += 1;
    const whole = Buffer.from(new ArrayBuffer(byteLength + RED_ZONE * 2));
    whole.fill(RED_ZONE_BYTE, 0, RED_ZONE);
    whole.fill(RED_ZONE_BYTE, RED_ZONE + byteLength);
    const address = this.#nextAddress;
    this.#nextAddress += Math.ceil((byteLength + RED_ZONE) / 64) * 64;
    const region = { address, bytes: whole.subarray(RED_ZONE, RED_ZONE + byteLength) };
    this.allocations.set(address, { region, whole });
    return region;
  }

  release(region: Region): void {
    this.releaseCalls += 1;
    this.checkRegion(region);
    this.allocations.delete(region.address);
    region.bytes.fill(RELEASED_BYTE);
  }

  discard(region: Region): void {
    this.discardCalls += 1;
    this.checkRegion(region);
    region.bytes.fill(DISCARDED_BYTE);
  }

  /** The bytes at an address, as the kernel would read them: they must lie in one region. */
  bytesAt(address: number, byteLength: number): Buffer {
    for (const { region } of this.allocations.values()) {
      const start = address - region.address;
      if (start >= 0 && start < region.bytes.length) {
        if (start + byteLength > region.bytes.length) {
          throw new Error(`${byteLength} bytes at ${address} pass the end of their region`);
        }
        return region.bytes.subarray(start, start + byteLength);
      }
    }
    throw new Error(`Nothing is allocated at ${address}`);
  }

  /** Writes past the end of the region, as a driver with a wrong length would. */
  overflow(address: number): void {
    const { region, whole } = this.allocations.get(address)!;
    whole[RED_ZONE + region.bytes.length] = 0;
  }

  /** Throws if any red zone was written to. */
  check(): void {
    for (const { region } of this.allocations.values()) {
      this.checkRegion(region);
    }
  }

  private checkRegion(region: Region): void {
    const allocation = this.allocations.get(region.address);
    if (allocation?.region !== region) {
      throw new Error(`The region at ${region.address} is not allocated`);
    }
    const { whole } = allocation;
    const end = RED_ZONE + region.bytes.length;
    for (let i = 0; i < RED_ZONE; i++) {
      if (whole[i] !== RED_ZONE_BYTE || whole[end + i] !== RED_ZONE_BYTE) {
        throw new Error(`A write passed the bounds of the region at ${region.address}`);
      }
    }
  }
}
