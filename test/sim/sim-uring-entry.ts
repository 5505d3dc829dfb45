/**
 * A submission as the kernel reads it (struct io_uring_sqe), and what the model knows of io_uring beside
 * src/base/uring.ts: flags of the C headers that the library itself does not use.
 */

import {
  OP_ACCEPT,
  OP_ASYNC_CANCEL,
  OP_CLOSE,
  OP_FIXED_FD_INSTALL,
  OP_POLL_ADD,
  OP_POLL_REMOVE,
  OP_RECV,
  OP_SEND,
  OP_SEND_ZC,
  OP_SENDMSG,
  OP_SHUTDOWN,
} from '../../src/base/uring.js';

/** One more than the last operation of Linux 6.18. */
export const OP_LAST = 63;
/** io_uring_sqe: where its fields are. */
const FIELD = {
  opcode: 0,
  flags: 1,
  ioprio: 2,
  fd: 4,
  offset: 8,
  address: 16,
  length: 24,
  opFlags: 28,
  userLow: 32,
  userHigh: 36,
  group: 40,
  fileIndex: 44,
  address3: 48,
} as const;

/** ioprio of OP_SEND and OP_RECV: wait for readiness first, without a try. */
export const POLL_FIRST = 1 << 0;
/** CQE: more can be received or accepted at once. */
export const CQE_F_SOCK_NONEMPTY = 1 << 2;

export const MSG_DONTWAIT = 0x40;
export const MSG_WAITALL = 0x100;
export const MSG_NOSIGNAL = 0x4000;
export const MSG_MORE = 0x8000;

/** What io_uring_register's probe says: what the model does. */
export const MODELLED_OPERATIONS: ReadonlySet<number> = new Set([
  OP_POLL_ADD,
  OP_POLL_REMOVE,
  OP_SENDMSG,
  OP_ACCEPT,
  OP_ASYNC_CANCEL,
  OP_CLOSE,
  OP_SEND,
  OP_RECV,
  OP_SHUTDOWN,
  OP_FIXED_FD_INSTALL,
  // Not done, but a sign of Linux 6.0, by which multishot receive is found.
  OP_SEND_ZC,
]);

export interface Submission {
  readonly opcode: number;
  readonly flags: number;
  readonly ioprio: number;
  readonly fd: number;
  /** `off` or `addr2`. */
  readonly offset: number;
  readonly address: number;
  /** The words of `address`, for operations that have user data there, which may need all 64 bits. */
  readonly addressLow: number;
  readonly addressHigh: number;
  readonly length: number;
  /** msg_flags, accept_flags, cancel_flags or poll32_events. */
  readonly opFlags: number;
  readonly userLow: number;
  readonly userHigh: number;
  /** buf_index or buf_group. */
  readonly group: number;
  readonly fileIndex: number;
}

export function readSubmission(bytes: Buffer, at: number): Submission {
  return {
    opcode: bytes[at + FIELD.opcode]!,
    flags: bytes[at + FIELD.flags]!,
    ioprio: bytes.readUInt16LE(at + FIELD.ioprio),
    fd: bytes.readInt32LE(at + FIELD.fd),
    offset: readAddress(bytes, at + FIELD.offset),
    address: readAddress(bytes, at + FIELD.address),
    addressLow: bytes.readUInt32LE(at + FIELD.address),
    addressHigh: bytes.readUInt32LE(at + FIELD.address + 4),
    length: bytes.readUInt32LE(at + FIELD.length),
    opFlags: bytes.readUInt32LE(at + FIELD.opFlags),
    userLow: bytes.readUInt32LE(at + FIELD.userLow),
    userHigh: bytes.readUInt32LE(at + FIELD.userHigh),
    group: bytes.readUInt16LE(at + FIELD.group),
    fileIndex: bytes.readUInt32LE(at + FIELD.fileIndex),
  };
}

/** What a program writes; everything left out is 0. For tests. */
export function writeSubmission(bytes: Buffer, at: number, fields: Partial<Submission>): void {
  bytes.fill(0, at, at + 64);
  bytes[at + FIELD.opcode] = fields.opcode ?? 0;
  bytes[at + FIELD.flags] = fields.flags ?? 0;
  bytes.writeUInt16LE(fields.ioprio ?? 0, at + FIELD.ioprio);
  bytes.writeInt32LE(fields.fd ?? 0, at + FIELD.fd);
  writeAddress(bytes, at + FIELD.offset, fields.offset ?? 0);
  writeAddress(bytes, at + FIELD.address, fields.address ?? 0);
  bytes.writeUInt32LE(fields.length ?? 0, at + FIELD.length);
  bytes.writeUInt32LE(fields.opFlags ?? 0, at + FIELD.opFlags);
  bytes.writeUInt32LE(fields.userLow ?? 0, at + FIELD.userLow);
  bytes.writeUInt32LE(fields.userHigh ?? 0, at + FIELD.userHigh);
  bytes.writeUInt16LE(fields.group ?? 0, at + FIELD.group);
  bytes.writeUInt32LE(fields.fileIndex ?? 0, at + FIELD.fileIndex);
}

/** A 64-bit word as a number: exact for addresses, and for anything below 2^53. */
export function readAddress(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
}

export function writeAddress(bytes: Buffer, at: number, value: number): void {
  bytes.writeUInt32LE(value % 2 ** 32, at);
  bytes.writeUInt32LE(Math.floor(value / 2 ** 32), at + 4);
}
