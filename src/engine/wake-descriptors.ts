/**
 * The eventfds by which threads wake reactors. One is never closed: a thread that holds a server's handle may signal it
 * at any time, even after the server closed, and a number that was closed might be a client's socket by then. They are
 * kept and used again: a late signal wakes another reactor for nothing, which is harmless.
 */

import type { Kernel } from '../base/kernel.js';
import { SystemError } from '../errors.js';

const free: number[] = [];

export function takeWakeDescriptor(kernel: Kernel): number {
  const known = free.pop();
  if (known !== undefined) {
    return known;
  }
  const fd = kernel.eventfd();
  if (fd < 0) {
    throw new SystemError('eventfd', -fd);
  }
  return fd;
}

export function giveWakeDescriptor(fd: number): void {
  free.push(fd);
}
