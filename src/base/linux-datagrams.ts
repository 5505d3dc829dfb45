/** Datagrams of the real kernel: whole batches in one call. Called through LinuxKernel. */

import { EINTR } from './errno.js';
import { errno, type Libc } from './ffi.js';
import type { DatagramCalls, Region } from './kernel.js';
import { MMSGHDR_SIZE } from './layout.js';
import { MSG_DONTWAIT, MSG_NOSIGNAL } from './linux.js';

export class LinuxDatagrams implements DatagramCalls {
  readonly #libc: Libc;

  constructor(libc: Libc) {
    this.#libc = libc;
  }

  receive(fd: number, messages: Region, count: number, flags: number): number {
    checkRange(messages, 0, count);
    for (;;) {
      const n = this.#libc.recvmmsg(fd, messages.address, count, flags | MSG_DONTWAIT, 0);
      if (n >= 0) {
        return n;
      }
      const code = errno();
      if (code !== EINTR) {
        return -code;
      }
    }
  }

  send(fd: number, messages: Region, first: number, count: number): number {
    checkRange(messages, first, count);
    const address = messages.address + first * MMSGHDR_SIZE;
    for (;;) {
      const n = this.#libc.sendmmsg(fd, address, count, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n >= 0) {
        return n;
      }
      const code = errno();
      if (code !== EINTR) {
        return -code;
      }
    }
  }
}

function checkRange({ bytes }: Region, first: number, count: number): void {
  if (first < 0 || count < 0 || (first + count) * MMSGHDR_SIZE > bytes.length) {
    throw new RangeError(`${count} messages from ${first} do not lie in ${bytes.length} bytes`);
  }
}
