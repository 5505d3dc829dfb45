/** The real kernel's calls on descriptors that are files: reading them and sending from them. */

import { EINTR } from './errno.js';
import { errno, type Libc } from './ffi.js';
import type { Region } from './kernel.js';
import * as linux from './linux.js';
import { CALL_BYTES_MAX } from './linux-memory.js';

const WORD = 0x1_0000_0000;

/** sendfile(2). `scratch` is where the kernel reads the offset, and writes the one that follows. */
export function sendFilePart(
  libc: Libc,
  scratch: Region,
  fd: number,
  file: number,
  offset: number,
  byteLength: number,
): number {
  const { bytes, address } = scratch;
  for (;;) {
    bytes.writeUInt32LE(offset % WORD, 0);
    bytes.writeUInt32LE(Math.floor(offset / WORD), 4);
    const n = libc.sendfile(fd, file, address, Math.min(byteLength, CALL_BYTES_MAX));
    if (n >= 0) {
      return n;
    }
    const code = errno();
    if (code !== EINTR) {
      return -code;
    }
  }
}

/** pread(2) into a part of a region. Throws RangeError for a part that is outside of it. */
export function readFilePart(
  libc: Libc,
  file: number,
  offset: number,
  region: Region,
  start: number,
  byteLength: number,
): number {
  if (!(start >= 0 && byteLength >= 0 && start + byteLength <= region.bytes.length)) {
    const size = region.bytes.length;
    throw new RangeError(`${byteLength} bytes from ${start} on do not lie in ${size} bytes`);
  }
  for (;;) {
    const n = libc.pread(file, region.address + start, byteLength, offset);
    if (n >= 0) {
      return n;
    }
    const code = errno();
    if (code !== EINTR) {
      return -code;
    }
  }
}

/** Makes a foreign descriptor non-blocking and close-on-exec: 0 or -errno. */
export function makeOurs(libc: Libc, fd: number): number {
  const flags = libc.fcntl(fd, linux.F_GETFL, 0);
  const isDone =
    flags >= 0 &&
    libc.fcntl(fd, linux.F_SETFL, flags | linux.O_NONBLOCK) >= 0 &&
    libc.fcntl(fd, linux.F_SETFD, linux.FD_CLOEXEC) >= 0;
  return isDone ? 0 : -errno();
}
