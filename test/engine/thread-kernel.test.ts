/** The one kernel of a thread. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import {
  checkPlatform,
  MAIN_OWNER,
  threadKernel,
  threadRegistry,
} from '../../src/engine/thread-kernel.js';
import { MillraceError } from '../../src/errors.js';

it('is always the same, and notes its descriptors as the main thread’s', () => {
  const kernel = threadKernel();
  assert.equal(threadKernel(), kernel);
  assert.equal(threadRegistry(), threadRegistry());
  const fd = kernel.eventfd();
  assert.equal(threadRegistry().ownerOf(fd), MAIN_OWNER);
  kernel.close(fd);
  assert.equal(threadRegistry().ownerOf(fd), 0);
});

it('a system without a driver is refused, by its name', () => {
  checkPlatform();
  const { platform } = process;
  Object.defineProperty(process, 'platform', { value: 'sunos' });
  try {
    assert.throws(
      () => checkPlatform(),
      (error) =>
        error instanceof MillraceError &&
        error.code === 'ERR_PLATFORM' &&
        error.message.includes('sunos'),
    );
  } finally {
    Object.defineProperty(process, 'platform', { value: platform });
  }
});
