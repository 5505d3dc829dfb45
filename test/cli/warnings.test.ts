/** cli/warnings: every warning is told, and none floods the terminal. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Warnings } from '../../src/cli/warnings.js';
import { MillraceError } from '../../src/errors.js';

test('a warning is one line with the name of the program', () => {
  const lines: string[] = [];
  const warnings = new Warnings((line) => lines.push(line), false);
  warnings.add(new MillraceError('ERR_LEAK', '2 blocks\nwere not released'));
  assert.deepEqual(lines, ['millrace: warning: 2 blocks were not released']);
});

test('the same warning is told the first, the tenth and the hundredth time', () => {
  const lines: string[] = [];
  const warnings = new Warnings((line) => lines.push(line), false);
  for (let i = 0; i < 150; i += 1) warnings.add(new MillraceError('ERR_X', 'again'));
  assert.deepEqual(lines, [
    'millrace: warning: again',
    'millrace: warning: again (10 times)',
    'millrace: warning: again (100 times)',
  ]);
});

test('what is counted is bounded when all warnings differ', () => {
  const lines: string[] = [];
  const warnings = new Warnings((line) => lines.push(line), false);
  for (let i = 0; i < 1_000; i += 1) warnings.add(new MillraceError('ERR_X', `number ${i}`));
  assert.equal(lines.length, 1_000);
});

test('who debugs gets the stack', () => {
  const lines: string[] = [];
  new Warnings((line) => lines.push(line), true).add(new Error('thrown'));
  assert.match(lines[0]!, /^millrace: warning: Error: thrown\n +at /);
});
