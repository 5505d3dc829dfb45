/** cli/failure: what a user reads when something fails. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { EACCES, EADDRINUSE, ECONNREFUSED } from '../../src/base/errno.js';
import {
  CommandError,
  describeFailure,
  describeWarning,
  exitCodeOf,
  firstSentence,
  oneLine,
  UsageError,
} from '../../src/cli/failure.js';
import { MillraceError, SystemError } from '../../src/errors.js';

test('a wrong call points to the help of its command and has exit code 2', () => {
  const error = new UsageError('no such flag', 'echo');
  assert.equal(describeFailure(error, false), 'no such flag; try millrace echo --help');
  assert.equal(describeFailure(new UsageError('what?'), false), 'what?; try millrace --help');
  assert.equal(exitCodeOf(error), 2);
  assert.equal(exitCodeOf(new Error('other')), 1);
  assert.equal(exitCodeOf('thrown'), 1);
});

test('what the system refuses comes with its usual cure', () => {
  const taken = new SystemError('bind', EADDRINUSE, 'tcp://127.0.0.1:80');
  assert.match(describeFailure(taken, false), /127\.0\.0\.1:80.*in use.*`ss -ltnp`.*--listen$/);
  const takenPath = new SystemError('bind', EADDRINUSE, 'unix:///tmp/a.sock');
  assert.match(describeFailure(takenPath, false), /a\.sock.*another path with --listen$/);
  const low = new SystemError('bind', EACCES, 'tcp://127.0.0.1:80');
  assert.match(describeFailure(low, false), /CAP_NET_BIND_SERVICE/);
  const folder = new SystemError('bind', EACCES, 'unix:///root.sock');
  assert.match(describeFailure(folder, false), /folder that this user may write to$/);
  const refused = new SystemError('connect', ECONNREFUSED, 'tcp://127.0.0.1:80');
  assert.equal(describeFailure(refused, false), refused.message);
});

test('errors of the library are told by their message alone', () => {
  const error = new MillraceError('ERR_HANDLER_MODULE', 'The module exports no handler');
  assert.equal(describeFailure(error, false), error.message);
  assert.equal(describeWarning(error), error.message);
  assert.equal(describeFailure(new CommandError('not a file'), false), 'not a file');
});

test('an unexpected error is told with its kind and the place where it was made', () => {
  const error = new TypeError('x is not a function');
  error.stack = [
    'TypeError: x is not a function',
    '    at node:internal/process/task_queues:95:5',
    `    at onData (file://${process.cwd()}/app/my%20handler.mjs:12:5)`,
    '    at file:///elsewhere/other.js:1:2',
  ].join('\n');
  const text = 'TypeError: x is not a function (app/my handler.mjs:12:5)';
  assert.equal(describeFailure(error, false), text);
  assert.equal(describeWarning(error), text);
  error.stack = 'TypeError: x\n    at run (/elsewhere/other.js:1:2)';
  assert.match(describeWarning(error), /\(\/elsewhere\/other\.js:1:2\)$/);
  delete error.stack;
  assert.equal(describeWarning(error), 'TypeError: x is not a function');
  assert.equal(describeFailure('a string', false).split(' (')[0], 'Thrown: a string');
});

test('no message breaks the line or reaches the terminal with control characters', () => {
  assert.equal(oneLine(' a\r\n\tb\u001b[31mc\u0007d\u2028e '), 'a b [31mc d e');
  const error = new MillraceError('ERR_X', 'first\nsecond\n    at stack (file:///a.js:1:1)');
  assert.doesNotMatch(describeFailure(error, false), /\n/);
  assert.doesNotMatch(describeFailure(new Error('first\nsecond'), false), /\n/);
});

test('the stack is for who debugs, with the causes', () => {
  const cause = new Error('the cause');
  const text = describeFailure(new MillraceError('ERR_X', 'the effect', { cause }), true);
  assert.match(text, /the effect.*\n +at .*caused by: Error: the cause.*\n +at /s);
});

test("of Node's messages about arguments the first sentence is kept", () => {
  assert.equal(
    firstSentence("Unknown option '--x'. To specify a positional argument starting with a '-', …"),
    "Unknown option '--x'",
  );
  assert.equal(
    firstSentence("Unexpected argument 'a.b'. This command does not take positional arguments"),
    "Unexpected argument 'a.b'",
  );
});
