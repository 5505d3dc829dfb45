/** Wake descriptors are used again, and never closed. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { EMFILE } from '../../src/base/errno.js';
import type { Kernel } from '../../src/base/kernel.js';
import { giveWakeDescriptor, takeWakeDescriptor } from '../../src/engine/wake-descriptors.js';
import type { SystemError } from '../../src/errors.js';

it('one that was given back is taken before a new one is made', () => {
  let made = 100;
  const kernel = {
    eventfd: () => {
      made += 1;
      return made;
    },
  } as Kernel;
  const first = takeWakeDescriptor(kernel);
  const second = takeWakeDescriptor(kernel);
  assert.notEqual(first, second);
  giveWakeDescriptor(first);
  assert.equal(takeWakeDescriptor(kernel), first);
  assert.equal(made, 102);
});

it('want of descriptors is a SystemError', () => {
  const kernel = { eventfd: () => -EMFILE } as Kernel;
  assert.throws(
    () => takeWakeDescriptor(kernel),
    ({ code, syscall }: SystemError) => code === 'EMFILE' && syscall === 'eventfd',
  );
});
