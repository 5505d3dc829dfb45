/** Errors that cross threads. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { EADDRINUSE } from '../../src/base/errno.js';
import { type ErrorRecord, errorOf, recordOf } from '../../src/engine/messages.js';
import { MillraceError, SystemError } from '../../src/errors.js';

const cross = (thrown: unknown) => errorOf(structuredClone(recordOf(thrown)) as ErrorRecord);

it('are what they were: class, code, message and stack', () => {
  const errors = [
    new SystemError('bind', EADDRINUSE, 'tcp://127.0.0.1:80'),
    new SystemError('accept', EADDRINUSE),
    new MillraceError('ERR_NO_TASK', 'There is none'),
    new TypeError('wrong'),
    new Error('plain'),
  ];
  for (const error of errors) {
    const copy = cross(error);
    assert.equal(copy.constructor, error.constructor);
    assert.deepEqual(
      [copy.name, copy.message, copy.stack],
      [error.name, error.message, error.stack],
    );
    for (const name of ['code', 'errno', 'syscall', 'address'] as const) {
      assert.equal((copy as SystemError)[name], (error as SystemError)[name], name);
    }
  }
});

it('keep the code and the name that a program gave them', () => {
  class OurError extends Error {
    override name = 'OurError';
    readonly code = 'E_OURS';
  }
  const copy = cross(new OurError('ours')) as MillraceError;
  assert.deepEqual([copy.name, copy.code, copy.message], ['OurError', 'E_OURS', 'ours']);
});

it('are made of whatever was thrown', () => {
  for (const thrown of ['text', 5, undefined, null, { a: 1 }, Symbol('s')]) {
    const copy = cross(thrown);
    assert.ok(copy instanceof Error);
    assert.equal(copy.message, String(thrown));
  }
  const cause = new Error('changed later');
  cause.message = 'another message';
  assert.equal(cross(cause).message, 'another message');
});

it('cross whatever their fields hold', () => {
  const odd = Object.assign(new Error('odd'), { code: () => {}, errno: 'text', syscall: {} });
  assert.equal(cross(odd).message, 'odd');
});
