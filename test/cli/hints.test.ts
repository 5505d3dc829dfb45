/** cli/hints: what to type to try a server. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { describeHints } from '../../src/cli/hints.js';

const NODE = (destination: string) =>
  `  node -e 'process.stdin.pipe(require("net").connect(${destination})).pipe(process.stdout)'`;

/** The commands, for a machine that has these programs. */
function hintsFor(addresses: readonly string[], programs: readonly string[]): string[] {
  const lines = describeHints(addresses, undefined, (program) => programs.includes(program)).split(
    '\n',
  );
  assert.equal(lines.at(0), 'To try it, in another terminal:');
  assert.equal(lines.at(-1), 'Ctrl-C ends.');
  return lines.slice(1, -1);
}

test('each address is met by a tool that is there, and the first by Node', () => {
  const addresses = ['tcp://127.0.0.1:9000', 'unix:///tmp/a.sock'];
  assert.deepEqual(hintsFor(addresses, ['nc', 'socat']), [
    '  nc 127.0.0.1 9000',
    '  socat - UNIX-CONNECT:/tmp/a.sock',
    NODE('9000, "127.0.0.1"'),
  ]);
  assert.deepEqual(hintsFor(addresses, ['nc']).slice(0, 2), [
    '  nc 127.0.0.1 9000',
    '  nc -U /tmp/a.sock',
  ]);
  assert.deepEqual(hintsFor(addresses, []), [NODE('9000, "127.0.0.1"')]);
});

test('a server on all interfaces is met on the loopback one', () => {
  assert.deepEqual(hintsFor(['tcp://0.0.0.0:1'], ['nc']), [
    '  nc 127.0.0.1 1',
    NODE('1, "127.0.0.1"'),
  ]);
  assert.deepEqual(hintsFor(['tcp://[::]:1'], ['nc']), ['  nc ::1 1', NODE('1, "::1"')]);
});

test('names are quoted for the shell, and not given to a tool that takes them apart', () => {
  assert.deepEqual(hintsFor(['unix:///tmp/my sock'], ['nc', 'socat']), [
    "  nc -U '/tmp/my sock'",
    NODE('"/tmp/my sock"'),
  ]);
  assert.deepEqual(hintsFor(["unix:///tmp/it's"], []), [
    `  node -e 'process.stdin.pipe(require("net").connect("/tmp/it'\\''s")).pipe(process.stdout)'`,
  ]);
  assert.deepEqual(hintsFor(['unix-abstract://name'], ['socat']), [
    '  socat - ABSTRACT-CONNECT:name',
    NODE('"\\u0000name"'),
  ]);
});

test('what has no name to connect to is left out', () => {
  assert.deepEqual(hintsFor(['unix://'], ['nc', 'socat']), []);
});

test('programs are looked for on the path', () => {
  assert.match(describeHints(['tcp://127.0.0.1:9000']), /node -e/);
});
