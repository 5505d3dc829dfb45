/** The real kernel's calls on files. */

import assert from 'node:assert/strict';
import { afterEach, it } from 'node:test';

import { EBADF } from '../../src/base/errno.js';
import { LinuxKernel } from '../../src/base/linux-kernel.js';
import { openLinuxFile } from '../contract/linux-file.js';

const kernel = new LinuxKernel();
const file = () => {
  const { fd } = openLinuxFile(Buffer.from('0123456789'));
  open.push(fd);
  return fd;
};
const open: number[] = [];
afterEach(() => {
  for (const fd of open.splice(0)) {
    kernel.close(fd);
  }
});

it('readAt() reads from an offset into a place of a region, and 0 at the end', () => {
  const fd = file();
  const region = kernel.allocate(16);
  region.bytes.fill('.');
  assert.equal(kernel.readAt(fd, 3, region, 2, 4), 4);
  assert.equal(region.bytes.toString(), '..3456..........');
  assert.equal(kernel.readAt(fd, 8, region, 0, 16), 2);
  assert.equal(kernel.readAt(fd, 10, region, 0, 16), 0);
  assert.equal(kernel.readAt(fd, 2 ** 40, region, 0, 16), 0);
  assert.equal(kernel.readAt(fd, 0, region, 16, 0), 0);
  kernel.release(region);
});

it('readAt() writes nowhere but into the region', () => {
  const fd = file();
  const region = kernel.allocate(16);
  for (const [start, byteLength] of [
    [0, 17],
    [16, 1],
    [-1, 1],
    [0, -1],
    [Number.NaN, 1],
  ] as const) {
    assert.throws(() => kernel.readAt(fd, 0, region, start, byteLength), RangeError);
  }
  assert.equal(kernel.readAt(987_654, 0, region, 0, 1), -EBADF);
  kernel.release(region);
});

it('sendFile() of a descriptor that is none is -EBADF', () => {
  assert.equal(kernel.sendFile(987_654, file(), 0, 1), -EBADF);
});
