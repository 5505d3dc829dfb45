/** What a driver does about an error. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import * as errno from '../../../src/base/errno.js';
import {
  expectSuccess,
  stopsAccepting,
  wouldBlock,
} from '../../../src/connection/drivers/retry.js';
import type { SystemError } from '../../../src/errors.js';

it('wouldBlock() is for want of room alone, and never for bytes that were done', () => {
  assert.ok(wouldBlock(-errno.EAGAIN) && wouldBlock(-errno.ENOBUFS));
  for (const n of [0, 1, errno.EAGAIN, -errno.EPIPE, -errno.ECONNRESET, -errno.ENOMEM]) {
    assert.equal(wouldBlock(n), false, String(n));
  }
});

it('stopsAccepting() tells what is wrong with the listener or the table from what a peer did', () => {
  const { EMFILE, ENFILE, ENOBUFS, ENOMEM, EBADF, EINVAL, ENOTSOCK, EOPNOTSUPP } = errno;
  for (const code of [EMFILE, ENFILE, ENOBUFS, ENOMEM, EBADF, EINVAL, ENOTSOCK, EOPNOTSUPP]) {
    assert.equal(stopsAccepting(code), true, String(code));
  }
  // accept(2): pending errors of the new connection.
  const { ECONNABORTED, EPROTO, ENETDOWN, EHOSTUNREACH, ENETUNREACH, EPERM, EAGAIN } = errno;
  for (const code of [ECONNABORTED, EPROTO, ENETDOWN, EHOSTUNREACH, ENETUNREACH, EPERM, EAGAIN]) {
    assert.equal(stopsAccepting(code), false, String(code));
  }
});

it('expectSuccess() passes on what worked, and names the call that did not', () => {
  assert.equal(expectSuccess('eventfd', 0), 0);
  assert.equal(expectSuccess('eventfd', 7), 7);
  assert.throws(
    () => expectSuccess('eventfd', -errno.EMFILE),
    ({ code, syscall }: SystemError) => code === 'EMFILE' && syscall === 'eventfd',
  );
});
