/** socketpair(2). Not of the Kernel: only what joins foreign streams to reactors needs it, on the real system. */

import { SystemError } from '../errors.js';
import { errno, loadLibc } from './ffi.js';
import { AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from './linux.js';
import { DATA_OFFSET, scratchOfThread } from './linux-memory.js';

/**
 * Two Unix stream sockets that are each other's peers, non-blocking and close-on-exec. They are the caller's to close.
 *
 * @throws SystemError, such as EMFILE.
 */
export function socketPair(): [number, number] {
  const libc = loadLibc();
  const scratch = scratchOfThread(libc);
  const type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  if (libc.socketpair(AF_UNIX, type, 0, scratch.address + DATA_OFFSET) < 0) {
    throw new SystemError('socketpair', errno());
  }
  return [scratch.bytes.readInt32LE(DATA_OFFSET), scratch.bytes.readInt32LE(DATA_OFFSET + 4)];
}
