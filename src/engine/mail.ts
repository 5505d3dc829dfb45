/**
 * What threads say to a reactor through its mailbox: take this descriptor, write these bytes to that connection, here
 * is a message. Bytes travel in malloc'ed blocks, which are valid in the whole process; whoever takes the letter out
 * frees the block. The number of bytes under way is bounded beside the number of letters.
 */

import { parseDatagramAddress } from '../base/datagram-address.js';
import type { Kernel } from '../base/kernel.js';
import { checkId, generationOfId, reactorOfId, slotOfId } from '../connection/connection-table.js';
import { SEND_BATCH_BYTES } from '../connection/datagram/send-batch.js';
import { refuseAddress } from '../connection/datagram/send-by-id.js';
import { isSessionId, ownerOfId, serialOfSessionId } from '../connection/datagram/session-id.js';
import type { Mailbox } from '../connection/mailbox.js';

/** Kinds of letters. */
export const ACCEPTED = 1;
export const WRITE = 2;
export const MESSAGE = 3;
/** Datagrams: by a session, and through a socket. */
export const SEND_SESSION = 4;
export const SEND_SOCKET = 5;

/** One piece at most, and all pieces under way to one reactor. */
export const LETTER_BYTES_MAX = 16 * 1024 * 1024;
const PENDING_BYTES_MAX = 64 * 1024 * 1024;
const WORD = 0x1_0000_0000;
const NOTHING = new Uint8Array(0);

/** The address of a letter's block: two 32-bit words. */
export function addressFrom(low: number, high: number): number {
  return (high >>> 0) * WORD + (low >>> 0);
}

/** One reactor's mailbox as its senders see it. */
export class Postbox {
  readonly #kernel: Kernel;
  readonly #mailbox: Mailbox;
  /** Letters for which writes and messages leave room: a flood of them must not turn new connections away. */
  readonly #reserve: number;
  readonly #wakeDescriptor: number;
  /** Bytes under way, shared by all senders: one cell. */
  readonly #pending: Int32Array;

  constructor(kernel: Kernel, mailbox: Mailbox, wakeDescriptor: number, pending: Int32Array) {
    this.#kernel = kernel;
    this.#mailbox = mailbox;
    this.#reserve = mailbox.capacity >> 3;
    this.#wakeDescriptor = wakeDescriptor;
    this.#pending = pending;
  }

  /** Hands a descriptor over. False when the mailbox is full: it is still the caller's. */
  sendDescriptor(fd: number, family: number): boolean {
    const isPushed = this.#mailbox.push(ACCEPTED, fd, family, 0, 0, 0, 0);
    this.#signal(isPushed);
    return isPushed;
  }

  sendWrite(id: number, bytes: Uint8Array): 'queued' | 'full' {
    return this.#send(WRITE, slotOfId(id), generationOfId(id), bytes) ? 'queued' : 'full';
  }

  sendMessage(from: number, bytes: Uint8Array): boolean {
    return this.#send(MESSAGE, from, 0, bytes);
  }

  /** `to`: a URL, which travels behind the bytes; the letter has its length. */
  sendDatagram(
    id: number,
    bytes: Uint8Array,
    to: string | undefined,
  ): 'queued' | 'full' | 'too-long' {
    if (bytes.length > SEND_BATCH_BYTES) {
      return 'too-long';
    }
    const tail = to === undefined ? NOTHING : Buffer.from(to);
    const serial = serialOfSessionId(id);
    const isSent = isSessionId(id)
      ? this.#send(SEND_SESSION, (serial % WORD) | 0, (serial / WORD) | 0, bytes)
      : this.#send(SEND_SOCKET, slotOfId(id), generationOfId(id), bytes, tail);
    return isSent ? 'queued' : 'full';
  }

  #send(kind: number, a: number, b: number, bytes: Uint8Array, tail = NOTHING): boolean {
    if (!(bytes instanceof Uint8Array)) {
      throw new TypeError(`Cannot send: expected a Uint8Array, got ${String(bytes)}`);
    }
    const byteLength = bytes.length + tail.length;
    if (byteLength > LETTER_BYTES_MAX) {
      throw new RangeError(
        `Cannot send ${byteLength} bytes to another reactor: expected at most ${LETTER_BYTES_MAX}`,
      );
    }
    if (Atomics.load(this.#pending, 0) + byteLength > PENDING_BYTES_MAX) {
      return false;
    }
    const address = byteLength === 0 ? 0 : this.#kernel.allocateBlock(byteLength);
    if (byteLength > 0) {
      if (address === 0) {
        return false;
      }
      this.#kernel.copyIn(address, bytes);
      if (tail.length > 0) {
        this.#kernel.copyIn(address + bytes.length, tail);
      }
    }
    Atomics.add(this.#pending, 0, byteLength);
    const low = (address % WORD) | 0;
    const high = (address / WORD) | 0;
    const isPushed = this.#mailbox.push(
      kind,
      a,
      b,
      low,
      high,
      byteLength,
      tail.length,
      this.#reserve,
    );
    if (!isPushed) {
      Atomics.sub(this.#pending, 0, byteLength);
      if (address !== 0) {
        this.#kernel.releaseBlock(address);
      }
    }
    this.#signal(isPushed);
    return isPushed;
  }

  #signal(isPushed: boolean): void {
    if (isPushed && this.#mailbox.needsSignal()) {
      this.#kernel.signal(this.#wakeDescriptor);
    }
  }
}

/** All reactors of a server, as one thread sends to them. */
export class PostOffice {
  readonly #boxes: readonly Postbox[];
  readonly #from: number;

  /** `from` is what receivers see as the sender: a reactor's index, or -1. */
  constructor(boxes: readonly Postbox[], from: number) {
    this.#boxes = boxes;
    this.#from = from;
  }

  get count(): number {
    return this.#boxes.length;
  }

  box(index: number): Postbox {
    const box = this.#boxes[index];
    if (box === undefined) {
      throw new RangeError(`Expected a reactor from 0 to ${this.#boxes.length - 1}, got ${index}`);
    }
    return box;
  }

  write(id: number, bytes: Uint8Array): 'queued' | 'full' | 'closed' {
    checkId(id);
    return this.#boxes[reactorOfId(id)]?.sendWrite(id, bytes) ?? 'closed';
  }

  send(
    id: number,
    data: Uint8Array | string,
    to?: string,
  ): 'queued' | 'full' | 'too-long' | 'closed' {
    checkId(id);
    if (isSessionId(id)) {
      refuseAddress(to);
    } else if (to !== undefined) {
      // What is none is an error of the caller's, which nobody there could tell it.
      parseDatagramAddress(to);
    }
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    return this.#boxes[ownerOfId(id)]?.sendDatagram(id, bytes, to) ?? 'closed';
  }

  post(index: number, bytes: Uint8Array): boolean {
    return this.box(index).sendMessage(this.#from, bytes);
  }

  broadcast(bytes: Uint8Array): boolean {
    let all = true;
    for (const box of this.#boxes) {
      all = box.sendMessage(this.#from, bytes) && all;
    }
    return all;
  }
}
