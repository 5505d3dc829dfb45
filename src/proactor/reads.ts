/**
 * The read side of a channel. Bytes come only while a read waits: otherwise the connection is paused, a moment after
 * the last read was answered, since the next one most often comes in time and pausing costs system calls. What comes
 * meanwhile, or with more than was asked for, is held; when that is more than a little, the connection is paused at
 * once, so that it is at most what the driver receives at once.
 */

import type { Channel } from './channel.js';
import { END } from './conditions.js';
import { type Operation, READ_FULL } from './operation.js';

/** Bytes that may be held without a pause, about those of one message; and a receive of more is one of many. */
const HELD_UNPAUSED_MAX = 16_384;

/** A copy of less costs less than to have the array's address looked up. */
const ROOM_MIN = 4_096;

/** A read was submitted, or there is room for results again: answers what can be answered. */
export function advanceReads(channel: Channel): void {
  const { reads, proactor } = channel;
  for (let operation = reads.head; operation !== undefined; operation = reads.head) {
    if (channel.held !== undefined) {
      if (!feedHeld(channel, operation)) {
        proactor.stall(channel);
        return;
      }
    } else if (channel.hasPeerEnded) {
      reads.shift();
      proactor.complete(channel, operation, END);
    } else {
      resume(channel);
      return;
    }
  }
}

/** Where the next bytes may go straight, without a copy: the buffer of the read that is next. */
export function roomOf({ reads, held, proactor }: Channel): Uint8Array | undefined {
  const operation = reads.head;
  if (operation === undefined || held !== undefined || !proactor.results.hasRoom) {
    return undefined;
  }
  const { buffer, size } = operation;
  if (buffer.length - size < ROOM_MIN || buffer.buffer instanceof SharedArrayBuffer) {
    return undefined;
  }
  return size === 0 ? buffer : buffer.subarray(size);
}

/** Bytes from the connection, borrowed, or in the room that was given. */
export function onBytes(channel: Channel, bytes: Buffer): void {
  const { reads, proactor } = channel;
  let at = 0;
  if (channel.held === undefined) {
    for (let operation = reads.head; at < bytes.length; operation = reads.head) {
      const n = operation === undefined ? 0 : feed(channel, operation, bytes, at);
      if (n === 0) {
        break;
      }
      at += n;
    }
  }
  if (at < bytes.length) {
    hold(channel, at === 0 ? bytes : bytes.subarray(at));
  }
  if (reads.head === undefined) {
    if (bytes.length > HELD_UNPAUSED_MAX) {
      // More is coming right now.
      pause(channel);
    } else {
      proactor.noteIdle(channel);
    }
  } else if (channel.held !== undefined) {
    proactor.stall(channel);
  }
}

export function onPeerEnd(channel: Channel): void {
  channel.hasPeerEnded = true;
  advanceReads(channel);
}

/** Nobody asks for bytes. */
export function pauseUnasked(channel: Channel): void {
  if (channel.reads.head === undefined && !channel.hasPeerEnded) {
    pause(channel);
  }
}

export function dropHeld(channel: Channel): void {
  if (channel.held !== undefined) {
    channel.proactor.heldBytes -= channel.held.length - channel.heldAt;
    channel.held = undefined;
  }
}

/** Gives the read what there is for it. How many bytes that was; 0: there is no room for its result. */
function feed(channel: Channel, operation: Operation, bytes: Buffer, at: number): number {
  const { proactor } = channel;
  if (!proactor.results.hasRoom) {
    return 0;
  }
  let n: number;
  if (operation.isShared) {
    const copy = proactor.memory.copy(bytes, at);
    if (copy === undefined) {
      return 0;
    }
    operation.buffer = copy;
    n = copy.length;
  } else {
    const { buffer, size } = operation;
    // None if its user has given its memory away.
    n = Math.max(0, Math.min(buffer.length - size, bytes.length - at));
    if (n === 0) {
      return 0;
    }
    const isThere = bytes.buffer === buffer.buffer && bytes.byteOffset === buffer.byteOffset + size;
    if (!isThere) {
      buffer.set(n === bytes.length ? bytes : bytes.subarray(at, at + n), size);
    }
  }
  operation.size += n;
  if (operation.kind !== READ_FULL || operation.size === operation.buffer.length) {
    channel.reads.shift();
    proactor.complete(channel, operation, undefined);
  }
  return n;
}

function feedHeld(channel: Channel, operation: Operation): boolean {
  const held = channel.held!;
  const n = feed(channel, operation, held, channel.heldAt);
  channel.heldAt += n;
  channel.proactor.heldBytes -= n;
  if (channel.heldAt === held.length) {
    channel.held = undefined;
  }
  return n > 0;
}

function hold(channel: Channel, bytes: Buffer): void {
  const { held, heldAt } = channel;
  channel.held =
    held === undefined ? Buffer.from(bytes) : Buffer.concat([held.subarray(heldAt), bytes]);
  channel.heldAt = 0;
  channel.proactor.heldBytes += bytes.length;
  if (channel.held.length > HELD_UNPAUSED_MAX || channel.reads.head !== undefined) {
    pause(channel);
  }
}

function pause(channel: Channel): void {
  if (!channel.isPaused) {
    channel.isPaused = true;
    channel.connection?.pause();
  }
}

function resume(channel: Channel): void {
  if (channel.isPaused) {
    channel.isPaused = false;
    channel.connection?.resume();
  }
}
