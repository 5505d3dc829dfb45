/**
 * What becomes of one submission (io_init_req and the operations' prep and issue functions): a request that may have to
 * wait, a completion at once, or an error. Fields that an operation does not have must be 0, as Linux checks. Called by
 * sim-uring.ts.
 */

import {
  EALREADY,
  EBADF,
  EINVAL,
  EMSGSIZE,
  ENOENT,
  ENOTSOCK,
  ENXIO,
} from '../../src/base/errno.js';
import {
  IOVEC_LENGTH,
  IOVEC_SIZE,
  MSGHDR_CONTROL_LENGTH,
  MSGHDR_NAME_LENGTH,
  MSGHDR_SIZE,
  MSGHDR_VECTOR,
  MSGHDR_VECTOR_LENGTH,
} from '../../src/base/layout.js';
import { IOV_MAX, SOCK_CLOEXEC, SOCK_NONBLOCK } from '../../src/base/linux.js';
import * as uring from '../../src/base/uring.js';
import { roomForDescriptor } from './sim-calls.js';
import type { Description } from './sim-descriptors.js';
import { SimSocket } from './sim-socket.js';
import type { SimRing } from './sim-uring.js';
import * as fields from './sim-uring-entry.js';
import {
  AcceptRequest,
  PollRequest,
  type Range,
  ReceiveRequest,
  SendRequest,
} from './sim-uring-operations.js';
import type { RingRequest } from './sim-uring-request.js';
import { ShutdownRequest } from './sim-uring-shutdown.js';

type Entry = fields.Submission;

const MODELLED_FLAGS = uring.SQE_FIXED_FILE | uring.SQE_BUFFER_SELECT;
const SEND_FLAGS = fields.MSG_DONTWAIT | fields.MSG_WAITALL | fields.MSG_NOSIGNAL | fields.MSG_MORE;
const CANCEL_FLAGS =
  uring.ASYNC_CANCEL_ALL |
  uring.ASYNC_CANCEL_FD |
  uring.ASYNC_CANCEL_ANY |
  uring.ASYNC_CANCEL_FD_FIXED;

/** Whether the submission was understood: without SETUP_SUBMIT_ALL the first that is not ends the enter. */
export function submit(ring: SimRing, entry: Entry): boolean {
  const { trace, violations } = ring.world;
  trace.call(ring.thread, 'sqe', entry.opcode, entry.userLow, entry.fd);
  if ((entry.flags & ~MODELLED_FLAGS) !== 0) {
    violations.note(`${ring.name}: flags 0x${entry.flags.toString(16)} are not modelled`);
  }
  const result = prepare(ring, entry);
  if (typeof result !== 'number') {
    ring.requests.add(result);
    result.start();
    return true;
  }
  if (result === -EINVAL) {
    violations.note(`${ring.name}: Linux refuses this submission: ${JSON.stringify(entry)}`);
  }
  ring.queues.put(entry, result, 0);
  // Errors of the work itself, such as EBADF, do not end the enter.
  return result !== -EINVAL;
}

/** A request, or the result of what was done or refused at once. */
function prepare(ring: SimRing, entry: Entry): RingRequest | number {
  switch (entry.opcode) {
    case uring.OP_POLL_ADD:
      return preparePoll(ring, entry);
    case uring.OP_POLL_REMOVE:
      return removePoll(ring, entry);
    case uring.OP_ACCEPT:
      return prepareAccept(ring, entry);
    case uring.OP_ASYNC_CANCEL:
      return cancel(ring, entry);
    case uring.OP_CLOSE:
      return close(ring, entry);
    case uring.OP_SEND:
    case uring.OP_SENDMSG:
      return prepareSend(ring, entry);
    case uring.OP_RECV:
      return prepareReceive(ring, entry);
    case uring.OP_SHUTDOWN:
      return prepareShutdown(ring, entry);
    case uring.OP_FIXED_FD_INSTALL:
      return installDescriptor(ring, entry);
    default:
      return -EINVAL;
  }
}

function preparePoll(ring: SimRing, entry: Entry): RingRequest | number {
  const { address, offset, group, ioprio, length } = entry;
  if (address + offset + group + ioprio !== 0 || (length & ~uring.POLL_ADD_MULTI) !== 0) {
    return -EINVAL;
  }
  const file = find(ring, entry);
  if (file === undefined) return -EBADF;
  return new PollRequest(ring, entry, file, (length & uring.POLL_ADD_MULTI) !== 0);
}

function removePoll(ring: SimRing, entry: Entry): number {
  const { offset, group, ioprio, length, opFlags } = entry;
  if (offset + group + ioprio + length + opFlags !== 0) return -EINVAL;
  const found = [...ring.requests].find(
    (request) => request instanceof PollRequest && isNamed(request, entry),
  );
  if (found === undefined) return -ENOENT;
  if (found.isQueued) return -EALREADY;
  found.cancel();
  return 0;
}

function prepareAccept(ring: SimRing, entry: Entry): RingRequest | number {
  const { length, group, opFlags, ioprio, fileIndex } = entry;
  const isMultishot = (ioprio & uring.ACCEPT_MULTISHOT) !== 0;
  if (length + group !== 0 || (ioprio & ~uring.ACCEPT_MULTISHOT) !== 0) return -EINVAL;
  if ((opFlags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) !== 0) return -EINVAL;
  if (fileIndex !== 0) {
    if ((opFlags & SOCK_CLOEXEC) !== 0) return -EINVAL;
    if (fileIndex !== uring.FILE_INDEX_ALLOC) {
      ring.world.violations.note(`${ring.name}: accept into a chosen place is not modelled`);
      return -EINVAL;
    }
  } else if (opFlags !== (SOCK_CLOEXEC | SOCK_NONBLOCK)) {
    // The contract: each descriptor is close-on-exec and non-blocking from its creation on.
    ring.world.violations.note(`${ring.name}: accept without SOCK_CLOEXEC or SOCK_NONBLOCK`);
  }
  if (entry.address !== 0) {
    ring.world.violations.note(`${ring.name}: the address of accept is not modelled`);
  }
  const file = socketOf(ring, entry);
  return typeof file === 'number' ? file : new AcceptRequest(ring, entry, file, isMultishot);
}

function prepareReceive(ring: SimRing, entry: Entry): RingRequest | number {
  const { offset, ioprio, flags, opFlags, length, fileIndex } = entry;
  const hasGroup = (flags & uring.SQE_BUFFER_SELECT) !== 0;
  const isMultishot = (ioprio & uring.RECV_MULTISHOT) !== 0;
  if (offset !== 0 || fileIndex !== 0) return -EINVAL;
  if ((ioprio & ~(uring.RECV_MULTISHOT | fields.POLL_FIRST)) !== 0) return -EINVAL;
  if (isMultishot && !hasGroup) return -EINVAL;
  if ((opFlags & ~fields.MSG_DONTWAIT) !== 0) {
    ring.world.violations.note(`${ring.name}: flags 0x${opFlags.toString(16)} of a receive`);
  }
  if (!hasGroup && length === 0) {
    ring.world.violations.note(`${ring.name}: receive into no memory looks like an end`);
  }
  const file = socketOf(ring, entry);
  return typeof file === 'number' ? file : new ReceiveRequest(ring, entry, file, isMultishot);
}

function prepareSend(ring: SimRing, entry: Entry): RingRequest | number {
  const { offset, ioprio, flags, opFlags, address, length } = entry;
  if ((ioprio & ~fields.POLL_FIRST) !== 0) return -EINVAL;
  if (offset !== 0 || (opFlags & ~SEND_FLAGS) !== 0 || (flags & uring.SQE_BUFFER_SELECT) !== 0) {
    ring.world.violations.note(`${ring.name}: a send with ${JSON.stringify(entry)}`);
  }
  let ranges: Range[] | number = [{ address, byteLength: length }];
  if (entry.opcode === uring.OP_SENDMSG) ranges = readMessage(ring, address);
  if (typeof ranges === 'number') return ranges;
  const file = socketOf(ring, entry);
  return typeof file === 'number' ? file : new SendRequest(ring, entry, file, opFlags, ranges);
}

/** The ranges of a msghdr. It and its iovecs are read at submission only. */
function readMessage(ring: SimRing, address: number): Range[] | number {
  const { memory, violations } = ring.world;
  const header = memory.view(address, MSGHDR_SIZE, 'msghdr') as Buffer;
  if (
    header.readUInt32LE(MSGHDR_NAME_LENGTH) + header.readUInt32LE(MSGHDR_CONTROL_LENGTH) !== 0 ||
    header.readUInt32LE(MSGHDR_VECTOR_LENGTH + 4) !== 0
  ) {
    violations.note(`${ring.name}: a name or control data in a msghdr is not modelled`);
  }
  const count = header.readUInt32LE(MSGHDR_VECTOR_LENGTH);
  if (count > IOV_MAX) return -EMSGSIZE;
  const ranges: Range[] = [];
  if (count === 0) return ranges;
  const start = fields.readAddress(header, MSGHDR_VECTOR);
  const iovecs = memory.view(start, count * IOVEC_SIZE, 'iovecs') as Buffer;
  for (let i = 0; i < count; i++) {
    const byteLength = fields.readAddress(iovecs, i * IOVEC_SIZE + IOVEC_LENGTH);
    const from = fields.readAddress(iovecs, i * IOVEC_SIZE);
    if (byteLength > 0) ranges.push({ address: from, byteLength });
  }
  return ranges;
}

function prepareShutdown(ring: SimRing, entry: Entry): RingRequest | number {
  const { offset, address, opFlags, group, ioprio, fileIndex } = entry;
  if (offset + address + opFlags + group + ioprio + fileIndex !== 0) return -EINVAL;
  const file = socketOf(ring, entry);
  return typeof file === 'number' ? file : new ShutdownRequest(ring, entry, file);
}

function close(ring: SimRing, entry: Entry): number {
  const { offset, address, length, opFlags, group, ioprio, flags, fd, fileIndex } = entry;
  if (offset + address + length + opFlags + group + ioprio !== 0) return -EINVAL;
  if ((flags & uring.SQE_FIXED_FILE) !== 0) return -EBADF;
  if (fileIndex === 0) {
    const isRing = ring.world.table.peek(fd)?.kind === 'uring';
    return isRing ? -EBADF : ring.world.table.close(fd, ring.name);
  }
  if (fd !== 0) return -EINVAL;
  const result = ring.files?.remove(fileIndex - 1) ?? -ENXIO;
  if (result < 0) {
    ring.world.violations.note(`${ring.name}: close of direct descriptor ${fileIndex - 1}`);
  }
  return result;
}

/** A number of the process's table for a direct descriptor: close-on-exec, but not otherwise changed. */
function installDescriptor(ring: SimRing, entry: Entry): number {
  const { offset, address, length, opFlags, group, ioprio, flags, fileIndex } = entry;
  if (offset + address + length + opFlags + group + ioprio + fileIndex !== 0) return -EINVAL;
  if ((flags & uring.SQE_FIXED_FILE) === 0) return -EBADF;
  const file = find(ring, entry);
  if (file === undefined) return -EBADF;
  const room = roomForDescriptor(ring.world);
  return room < 0 ? room : ring.world.table.open(file);
}

function cancel(ring: SimRing, entry: Entry): number {
  const { offset, fileIndex, ioprio, opFlags } = entry;
  if (offset + fileIndex + ioprio !== 0 || (opFlags & ~CANCEL_FLAGS) !== 0) return -EINVAL;
  const isAny = (opFlags & uring.ASYNC_CANCEL_ANY) !== 0;
  const isForAll = isAny || (opFlags & uring.ASYNC_CANCEL_ALL) !== 0;
  let matches = (request: RingRequest): boolean => isNamed(request, entry);
  if (isAny) matches = () => true;
  if ((opFlags & uring.ASYNC_CANCEL_FD) !== 0) {
    if (isAny) return -EINVAL;
    const isFixed = (opFlags & uring.ASYNC_CANCEL_FD_FIXED) !== 0;
    const flags = isFixed ? entry.flags | uring.SQE_FIXED_FILE : entry.flags;
    const file = find(ring, { ...entry, flags });
    if (file === undefined) return -EBADF;
    matches = (request) => request.file === file;
  }
  return ring.cancel(matches, isForAll);
}

/** Whether the address of `entry` is the request's user data. */
function isNamed({ entry }: RingRequest, { addressLow, addressHigh }: Entry): boolean {
  return entry.userLow === addressLow && entry.userHigh === addressHigh;
}

function find(ring: SimRing, entry: Entry): Description | undefined {
  if ((entry.flags & uring.SQE_FIXED_FILE) === 0) {
    return ring.world.table.find(entry.fd, ring.name, `operation ${entry.opcode}`);
  }
  const file = ring.files?.find(entry.fd);
  if (file === undefined) {
    const { violations } = ring.world;
    violations.note(`${ring.name}: operation ${entry.opcode} of no direct descriptor: ${entry.fd}`);
  }
  return file;
}

function socketOf(ring: SimRing, entry: Entry): SimSocket | number {
  const file = find(ring, entry);
  if (file instanceof SimSocket) return file;
  return file === undefined ? -EBADF : -ENOTSOCK;
}
