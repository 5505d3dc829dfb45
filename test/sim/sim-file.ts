/** Regular files of a world that somebody has opened: bytes that are read and sent, and may be cut short meanwhile. */

import { EBADF, EINVAL } from '../../src/base/errno.js';
import { Description } from './sim-descriptors.js';
import type { SimWorld } from './sim-world.js';

export class SimFile extends Description {
  override readonly kind = 'file';
  bytes: Buffer;

  constructor(bytes: Buffer) {
    super();
    this.bytes = bytes;
  }

  /** A file is always ready; epoll does not take one. */
  override poll(): number {
    return 0x5;
  }

  override closed(): void {}
}

/** What is there of so many bytes, or -errno. A use of anything but an open file is a violation. */
export function readSimFile(
  world: SimWorld,
  name: string,
  fd: number,
  offset: number,
  byteLength: number,
): Buffer | number {
  const description = world.table.find(fd, name, 'reading');
  if (description === undefined) return -EBADF;
  if (description instanceof SimFile) {
    return description.bytes.subarray(offset, offset + byteLength);
  }
  world.violations.note(`${name}: reading of descriptor ${fd}, a ${description.kind}`);
  return -EINVAL;
}
