/** The error classes. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { ECONNREFUSED, EMFILE } from '../src/base/errno.js';
import { connectionError, MillraceError, SystemError } from '../src/errors.js';

it('a SystemError has the shape of Node’s own errors, and says what could not be done where', () => {
  const error = new SystemError('connect', ECONNREFUSED, 'tcp://127.0.0.1:9');
  assert.ok(error instanceof Error);
  const { name, code, errno, syscall, address, message } = error;
  assert.deepEqual(
    { name, code, errno, syscall, address },
    {
      name: 'SystemError',
      code: 'ECONNREFUSED',
      errno: ECONNREFUSED,
      syscall: 'connect',
      address: 'tcp://127.0.0.1:9',
    },
  );
  assert.match(message, /^Cannot connect tcp:\/\/127\.0\.0\.1:9: .+ \(ECONNREFUSED\)$/);
});

it('a SystemError without an address does not speak of one', () => {
  const error = new SystemError('accept', EMFILE);
  assert.equal(error.address, undefined);
  assert.match(error.message, /^Cannot accept: .+ \(EMFILE\)$/);
});

it('a SystemError of an unknown number still says something', () => {
  const error = new SystemError('read', 12_345);
  assert.equal(error.errno, 12_345);
  assert.match(error.message, /12345/);
  assert.ok(error.code.length > 0);
});

it('an error of a connection has no stack, and the next error has one again', () => {
  const error = connectionError('recv', ECONNREFUSED, 'tcp://127.0.0.1:9');
  assert.ok(error instanceof SystemError);
  assert.equal(error.address, 'tcp://127.0.0.1:9');
  assert.ok(!String(error.stack).includes('\n    at '), error.stack);
  assert.match(String(new Error('of the program').stack), /\n {4}at /);
});

it('a MillraceError has its code and its cause', () => {
  const cause = new Error('below');
  const error = new MillraceError('ERR_LEAK', 'It leaks', { cause });
  assert.ok(error instanceof Error && !(error instanceof SystemError));
  assert.deepEqual(
    [error.name, error.code, error.message, error.cause],
    ['MillraceError', 'ERR_LEAK', 'It leaks', cause],
  );
  assert.equal('cause' in new MillraceError('ERR_LEAK', 'It leaks'), false);
});

it('errors print their code and where they came from', () => {
  for (const error of [
    new SystemError('bind', EMFILE),
    new MillraceError('ERR_LEAK', 'It leaks'),
  ]) {
    assert.ok(String(error).startsWith(`${error.name}: ${error.message}`));
    assert.match(error.stack!, /errors\.test/);
  }
});
