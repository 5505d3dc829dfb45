/** Which errors mean "later", which mean "stop", and which none may come: shared by drivers that try first. */

import {
  EAGAIN,
  EBADF,
  EFAULT,
  EINVAL,
  EMFILE,
  ENFILE,
  ENOBUFS,
  ENOMEM,
  ENOTSOCK,
  EOPNOTSUPP,
} from '../../base/errno.js';
import { SystemError } from '../../errors.js';

/** ENOBUFS: no memory for now, with the socket intact; libuv waits too. */
export function wouldBlock(n: number): boolean {
  return n === -EAGAIN || n === -ENOBUFS;
}

/**
 * Errors after which accepting again at once would fail again: a full table, no memory, or a listener that is none.
 * All others are the pending connection's own (accept(2): "treat them like EAGAIN").
 */
export function stopsAccepting(code: number): boolean {
  switch (code) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EBADF:
    case EFAULT:
    case EINVAL:
    case ENOTSOCK:
    case EOPNOTSUPP:
      return true;
    default:
      return false;
  }
}

/**
 * What a driver cannot be without: fails only by a programmer's error, or for want of descriptors. Throws SystemError.
 */
export function expectSuccess(syscall: string, n: number): number {
  if (n < 0) {
    throw new SystemError(syscall, -n);
  }
  return n;
}
