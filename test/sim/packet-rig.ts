/**
 * Messages of recvmmsg and sendmmsg in the memory of a kernel, real or simulated, for the scripts of the differential
 * test. The structures are written by hand, not by the code under test.
 */

import type { Kernel, Region } from '../../src/base/kernel.js';

const COUNT = 8;
const MESSAGE = 64;
const VECTORS = COUNT * MESSAGE;
const NAMES = VECTORS + COUNT * 16;
const NAME_BYTES = 128;
const CONTROLS = NAMES + COUNT * NAME_BYTES;
const CONTROL_BYTES = 128;
const PAYLOADS = CONTROLS + COUNT * CONTROL_BYTES;
const PAYLOAD_BYTES = 65_536;

export interface Packet {
  readonly text: string;
  readonly to?: Uint8Array;
}

export class PacketRig {
  readonly #kernel: Kernel;
  readonly #region: Region;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#region = kernel.allocate(PAYLOADS + COUNT * PAYLOAD_BYTES);
  }

  release(): void {
    this.#kernel.release(this.#region);
  }

  send(fd: number, packets: readonly Packet[]): number {
    packets.forEach(({ text, to }, i) => {
      const at = PAYLOADS + i * PAYLOAD_BYTES;
      const n = this.#region.bytes.write(text, at);
      this.#prepare(i, to?.byteLength ?? 0, n, 0);
      if (to !== undefined) this.#region.bytes.set(to, NAMES + i * NAME_BYTES);
    });
    return this.#kernel.datagrams.send(fd, this.#region, 0, packets.length);
  }

  sendBytes(fd: number, byteLength: number, to: Uint8Array): number {
    this.#prepare(0, to.byteLength, byteLength, 0);
    this.#region.bytes.set(to, NAMES);
    return this.#kernel.datagrams.send(fd, this.#region, 0, 1);
  }

  /** What came, as text with lengths and flags, or the error. */
  receive(fd: number, count: number, flags = 0, room = 4_096): string {
    for (let i = 0; i < count; i += 1) this.#prepare(i, NAME_BYTES, room, CONTROL_BYTES);
    const n = this.#kernel.datagrams.receive(fd, this.#region, count, flags);
    if (n < 0) return String(n);
    const { bytes } = this.#region;
    const list: string[] = [];
    for (let i = 0; i < n; i += 1) {
      const length = bytes.readUInt32LE(i * MESSAGE + 56);
      const at = PAYLOADS + i * PAYLOAD_BYTES;
      const text = bytes.toString('latin1', at, at + Math.min(length, room));
      list.push(`'${text}' of ${length}, flags ${bytes.readUInt32LE(i * MESSAGE + 48)}`);
    }
    return list.join('; ');
  }

  /** The sender of message `i` of the last receive, in hexadecimal. */
  nameOf(i: number): string {
    const length = this.#region.bytes.readUInt32LE(i * MESSAGE + 8);
    const at = NAMES + i * NAME_BYTES;
    return this.#region.bytes.toString('hex', at, at + length);
  }

  controlOf(i: number): string {
    const length = this.#region.bytes.readUInt32LE(i * MESSAGE + 40);
    const at = CONTROLS + i * CONTROL_BYTES;
    return this.#region.bytes.toString('hex', at, at + length);
  }

  #prepare(i: number, nameBytes: number, payloadBytes: number, controlBytes: number): void {
    const { bytes, address } = this.#region;
    const head = i * MESSAGE;
    bytes.fill(0, head, head + MESSAGE);
    if (nameBytes > 0) this.#pointer(head, address + NAMES + i * NAME_BYTES);
    bytes.writeUInt32LE(nameBytes, head + 8);
    this.#pointer(head + 16, address + VECTORS + i * 16);
    bytes.writeUInt32LE(1, head + 24);
    if (controlBytes > 0) this.#pointer(head + 32, address + CONTROLS + i * CONTROL_BYTES);
    bytes.writeUInt32LE(controlBytes, head + 40);
    this.#pointer(VECTORS + i * 16, address + PAYLOADS + i * PAYLOAD_BYTES);
    bytes.writeUInt32LE(payloadBytes, VECTORS + i * 16 + 8);
    bytes.writeUInt32LE(0, VECTORS + i * 16 + 12);
  }

  #pointer(at: number, address: number): void {
    const { bytes } = this.#region;
    bytes.writeUInt32LE(address % 2 ** 32, at);
    bytes.writeUInt32LE(Math.floor(address / 2 ** 32), at + 4);
  }
}
