/**
 * The memory of a simulated process: live allocations at made-up addresses, with ArrayBuffers behind them. Every
 * address that the code under test hands over must lie inside one live allocation. Addresses are never used twice
 * in one world, so that a stale one is always found; released memory is filled with 0xDB and some of it is looked at
 * again at the end, to find writes after the release. Shared by all kernels of a world, as threads share memory.
 */

import type { Region } from '../../src/base/kernel.js';
import type { ViolationLog } from './sim-violation.js';

/** Each allocation has slots of this many bytes to itself, which makes the search for an address a division. */
const SLOT_BYTES = 2 ** 24;
/** Where allocations lie: above 2^32, so that a cut to 32 bits shows. */
const HEAP_BASE = 0x7f0000000000;
/** Where the addresses of JavaScript's own arrays lie, far above the former. */
const TEMPORARY_BASE = 2 ** 51;
const POISON = 0xdb;
/** Released bytes that are kept to be looked at again. */
const QUARANTINE_BYTES = 65_536;

type AllocationKind = 'region' | 'block' | 'mapping';

/** Someone in the kernel who may still use memory of the process: nothing of it may be released. */
export interface MemoryUser {
  /** What of the range is in use, for the message; or undefined. */
  usedIn(address: number, byteLength: number): string | undefined;
}

interface Allocation {
  readonly kind: AllocationKind;
  readonly address: number;
  readonly bytes: Buffer;
}

export class SimMemory {
  readonly #violations: ViolationLog;
  #slots: (Allocation | undefined)[] = [];
  #temporaries: Uint8Array[] = [];
  #temporaryFirst = 0;
  #quarantine: Allocation[] = [];
  #quarantineBytes = 0;
  readonly users = new Set<MemoryUser>();
  /** Live allocations and their bytes, for leak checks. Mappings are regions that the kernel made (io_uring). */
  liveRegions = 0;
  liveMappings = 0;
  liveBlocks = 0;
  liveBytes = 0;

  constructor(violations: ViolationLog) {
    this.#violations = violations;
  }

  allocate(byteLength: number): Region {
    const { address, bytes } = this.place('region', byteLength);
    this.liveRegions++;
    return { address, bytes };
  }

  release(region: Region): void {
    const allocation = this.owned('region', region.address);
    if (allocation.bytes.length !== region.bytes.length) {
      this.#violations.fail(`release of a part of the region at ${hex(region.address)}`);
    }
    this.liveRegions--;
    this.free(allocation);
  }

  /** As mmap of a ring's memory. */
  map(byteLength: number): Region {
    const { address, bytes } = this.place('mapping', byteLength);
    this.liveMappings++;
    return { address, bytes };
  }

  unmap(region: Pick<Region, 'address'>): void {
    this.liveMappings--;
    this.free(this.owned('mapping', region.address));
  }

  allocateBlock(byteLength: number): number {
    this.liveBlocks++;
    return this.place('block', byteLength).address;
  }

  releaseBlock(address: number): void {
    const allocation = this.owned('block', address);
    this.liveBlocks--;
    this.free(allocation);
  }

  /** A JavaScript array's address, valid until `forgetTemporaries`. */
  addressOf(bytes: Uint8Array): number {
    if (bytes.length > SLOT_BYTES) {
      this.#violations.fail('addressOf an array of more than 16 MiB is not modelled');
    }
    this.#temporaries.push(bytes);
    return TEMPORARY_BASE + (this.#temporaryFirst + this.#temporaries.length - 1) * SLOT_BYTES;
  }

  /** Called at each allocation and each step of the scheduler: arrays may have moved. */
  forgetTemporaries(): void {
    if (this.#temporaries.length === 0) return;
    this.#temporaryFirst += this.#temporaries.length;
    this.#temporaries = [];
  }

  /** The memory at `address`, all of it inside one live allocation. */
  view(address: number, byteLength: number, use: string): Uint8Array {
    if (!Number.isSafeInteger(address) || !Number.isSafeInteger(byteLength) || byteLength < 0) {
      this.#violations.fail(`${use}: not a memory range: ${address}, ${byteLength} bytes`);
    }
    if (address >= TEMPORARY_BASE) return this.temporary(address, byteLength, use);
    const allocation = this.#slots[Math.floor((address - HEAP_BASE) / SLOT_BYTES)];
    if (allocation === undefined) {
      return this.#violations.fail(`${use}: no live allocation at ${hex(address)}`);
    }
    const offset = address - allocation.address;
    if (offset < 0 || offset + byteLength > allocation.bytes.length) {
      this.#violations.fail(
        `${use}: ${byteLength} bytes at ${hex(address)} pass the end of ${describe(allocation)}`,
      );
    }
    return allocation.bytes.subarray(offset, offset + byteLength);
  }

  /** The same for a region, whose view must be of the memory that its address names. */
  region(region: Region, use: string): Uint8Array {
    const bytes = this.view(region.address, region.bytes.length, use);
    const isSame =
      bytes.buffer === region.bytes.buffer && bytes.byteOffset === region.bytes.byteOffset;
    if (!isSame && bytes.length > 0) {
      this.#violations.fail(`${use}: region at ${hex(region.address)} is not where its bytes are`);
    }
    return region.bytes;
  }

  /** Makes the content of a region unknown, as giving back its pages would. */
  discard(region: Region): void {
    this.region(region, 'discard').fill(POISON);
  }

  /** Looks for writes into released memory. */
  verifyPoison(): void {
    for (const allocation of this.#quarantine) {
      const at = allocation.bytes.findIndex((byte) => byte !== POISON);
      if (at < 0) continue;
      this.#violations.note(`written after release: byte ${at} of ${describe(allocation)}`);
    }
  }

  private place(kind: AllocationKind, byteLength: number): Allocation {
    if (!Number.isSafeInteger(byteLength) || byteLength <= 0) {
      this.#violations.fail(`allocation of ${byteLength} bytes`);
    }
    this.forgetTemporaries();
    const first = this.#slots.length;
    const address = HEAP_BASE + first * SLOT_BYTES;
    // A block's first content is unknown to its owner, a region's is zero.
    const bytes = Buffer.from(new ArrayBuffer(byteLength));
    if (kind === 'block') bytes.fill(POISON);
    const allocation: Allocation = { kind, address, bytes };
    // One byte more than asked for: an address at the very end still names this allocation and no neighbour.
    const slots = Math.ceil((byteLength + 1) / SLOT_BYTES);
    for (let i = 0; i < slots; i++) this.#slots.push(allocation);
    this.liveBytes += byteLength;
    return allocation;
  }

  private owned(kind: AllocationKind, address: number): Allocation {
    const allocation = this.#slots[Math.floor((address - HEAP_BASE) / SLOT_BYTES)];
    if (allocation === undefined || allocation.address !== address) {
      return this.#violations.fail(`release of ${hex(address)}, which is no live allocation`);
    }
    if (allocation.kind !== kind) {
      this.#violations.fail(`release of ${describe(allocation)} as a ${kind}`);
    }
    return allocation;
  }

  private free(allocation: Allocation): void {
    for (const user of this.users) {
      const what = user.usedIn(allocation.address, allocation.bytes.length);
      if (what === undefined) continue;
      this.#violations.fail(`release of ${describe(allocation)}: the kernel has ${what} in it`);
    }
    let slot = Math.floor((allocation.address - HEAP_BASE) / SLOT_BYTES);
    while (this.#slots[slot] === allocation) this.#slots[slot++] = undefined;
    this.liveBytes -= allocation.bytes.length;
    allocation.bytes.fill(POISON);
    if (this.#quarantineBytes + allocation.bytes.length > QUARANTINE_BYTES) return;
    this.#quarantineBytes += allocation.bytes.length;
    this.#quarantine.push(allocation);
  }

  private temporary(address: number, byteLength: number, use: string): Uint8Array {
    const slot = Math.floor((address - TEMPORARY_BASE) / SLOT_BYTES);
    const bytes = this.#temporaries[slot - this.#temporaryFirst];
    if (bytes === undefined) {
      return this.#violations.fail(`${use}: the temporary address ${hex(address)} has expired`);
    }
    const offset = address - TEMPORARY_BASE - slot * SLOT_BYTES;
    if (offset + byteLength > bytes.length) {
      this.#violations.fail(
        `${use}: ${byteLength} bytes pass the end of an array of ${bytes.length}`,
      );
    }
    return bytes.subarray(offset, offset + byteLength);
  }
}

function hex(address: number): string {
  return `0x${address.toString(16)}`;
}

function describe(allocation: Allocation): string {
  return `a ${allocation.kind} of ${allocation.bytes.length} bytes at ${hex(allocation.address)}`;
}
