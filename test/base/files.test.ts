/** File operations of Node's, answered as system calls are. */

import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { it } from 'node:test';

import { ENOENT } from '../../src/base/errno.js';
import { attempt } from '../../src/base/files.js';

it('attempt() is 0 for success, and -errno for what the system refused', () => {
  assert.equal(
    attempt(() => {}),
    0,
  );
  assert.equal(
    attempt(() => void statSync('/no/such/file')),
    -ENOENT,
  );
});

it('attempt() throws what is no refusal of the system', () => {
  assert.throws(() => attempt(() => void statSync('a\0b')), TypeError);
  assert.throws(
    () =>
      attempt(() => {
        throw new Error('ours');
      }),
    /ours/,
  );
});
