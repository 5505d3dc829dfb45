/** cli/serve-flags: the flags of the commands that serve. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { UsageError } from '../../src/cli/failure.js';
import { readServeArguments } from '../../src/cli/serve-flags.js';

const DEFAULT = ['tcp://127.0.0.1:9000'];

test('without flags there is only the address of the command', () => {
  assert.deepEqual(readServeArguments('echo', [], DEFAULT), {
    options: { listen: DEFAULT },
    isQuiet: false,
    positionals: [],
  });
});

test('every flag becomes the option of serve', () => {
  const args =
    '--listen tcp://[::1]:0 --listen=unix:///tmp/x --reactors 3 --driver epoll --balance random ' +
    '--reuse-port -q --data {"a":[1]} handler.mjs';
  assert.deepEqual(readServeArguments('run', args.split(' '), DEFAULT), {
    options: {
      listen: ['tcp://[::1]:0', 'unix:///tmp/x'],
      reactors: 3,
      driver: 'epoll',
      balance: 'random',
      reusePort: true,
      data: { a: [1] },
    },
    isQuiet: true,
    positionals: ['handler.mjs'],
  });
  assert.equal(
    readServeArguments('echo', ['--reactors', 'auto'], DEFAULT).options.reactors,
    'auto',
  );
});

const WRONG: readonly (readonly [string[], RegExp])[] = [
  [['--bogus'], /Unknown option '--bogus'$/],
  [['extra'], /Unexpected argument 'extra'$/],
  [['--listen'], /--listen/],
  [['--listen', ''], /address ""/],
  [['--listen', 'tcp://127.0.0.1'], /the port is missing/],
  [['--listen', 'tcp://127.0.0.1:65536'], /the port is 65536/],
  [['--listen', 'http://127.0.0.1:80'], /protocol above TCP/],
  [['--listen', 'localhost:80'], /tcp:\/\/localhost:80/],
  [['--reactors', 'two'], /number or auto, got "two"/],
  [['--reactors', '-1'], /reactors/],
  [['--reactors', '0'], /reactors.*0/],
  [['--reactors', '1000'], /reactors.*1000/],
  [['--driver', 'kqueue'], /driver kqueue: expected one of auto, epoll, uring/],
  [['--balance', 'fair'], /balance fair: expected one of round-robin/],
  [['--data', '1'], /Unknown option '--data'/],
];

for (const [args, expected] of WRONG) {
  test(`${args.join(' ')} is a wrong call`, () => {
    assert.throws(
      () => readServeArguments('echo', args, DEFAULT),
      (error: unknown) =>
        error instanceof UsageError && error.command === 'echo' && expected.test(error.message),
    );
  });
}

test('data that is no JSON is a wrong call', () => {
  assert.throws(
    () => readServeArguments('run', ['x.mjs', '--data', '{name}'], DEFAULT),
    (error: unknown) => error instanceof UsageError && /--data to be JSON/.test(error.message),
  );
});
