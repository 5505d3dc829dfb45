/**
 * The error classes of the library. Expected outcomes (would block, closed, full) are values and never errors; these
 * are for what the system refused (`SystemError`) and for misuse that a program may want to catch by code.
 */

import { errnoName, errnoText } from './base/errno.js';

/** What a failed system call leaves behind, in the shape that Node's own errors have. */
export class SystemError extends Error {
  /** The symbolic name, such as `ECONNREFUSED`. */
  readonly code: string;
  /** The positive number of the platform. */
  readonly errno: number;
  /** The call that failed, such as `bind`. */
  readonly syscall: string;
  /** The address as a URL, where there is one. */
  readonly address: string | undefined;

  constructor(syscall: string, errno: number, address?: string) {
    const code = errnoName(errno);
    const where = address === undefined ? '' : ` ${address}`;
    super(`Cannot ${syscall}${where}: ${errnoText(errno)} (${code})`);
    this.name = 'SystemError';
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
    this.address = address;
  }
}

/**
 * An error of a connection, whose cause is the peer or the network: without a stack, which would name the library's
 * loop and nothing of the program's. Walking it costs several times what the rest of such a close does, and a peer
 * chooses how many there are (measured: 3.5 % of the CPU time of a server whose clients reset after the handshake).
 */
export function connectionError(syscall: string, errno: number, address?: string): SystemError {
  const { stackTraceLimit } = Error;
  // Not by assignment, which throws where the intrinsics are frozen.
  Reflect.set(Error, 'stackTraceLimit', 0);
  try {
    return new SystemError(syscall, errno, address);
  } finally {
    Reflect.set(Error, 'stackTraceLimit', stackTraceLimit);
  }
}

/** A failure of the library itself, by a stable code; `docs/errors.md` lists the codes. */
export class MillraceError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'MillraceError';
    this.code = code;
  }
}
