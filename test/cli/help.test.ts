/** cli/help: the texts, and that they name what there is. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { COMMANDS, HELP } from '../../src/cli/help.js';

test('the overview names every command, and each has a text of its own', () => {
  for (const command of COMMANDS) {
    assert.match(HELP.millrace, new RegExp(`^  millrace ${command}\\b`, 'm'));
    assert.match(HELP[command], new RegExp(`^Usage: millrace ${command}\\b`));
  }
});

test('the commands that serve name their flags', () => {
  for (const text of [HELP.echo, HELP.push, HELP.run]) {
    for (const flag of ['listen', 'reactors', 'driver', 'balance', 'reuse-port', 'quiet']) {
      assert.match(text, new RegExp(`^  --${flag}\\b`, 'm'));
    }
  }
  assert.match(HELP.run, /^ {2}--data JSON/m);
  assert.match(HELP.doctor, /^ {2}--json/m);
});

test('no text is wider than a usual window', () => {
  for (const [name, text] of Object.entries(HELP)) {
    for (const line of text.split('\n')) {
      assert.ok(line.length <= 104, `${name}: ${line}`);
    }
  }
});
