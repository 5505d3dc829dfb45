/** cli/terminal: lines and the status that is drawn in place. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { type Output, Terminal } from '../../src/cli/terminal.js';

class FakeOutput implements Output {
  isTTY = true;
  columns: number | undefined;
  text = '';
  #listeners: ((error: Error) => void)[] = [];

  write(text: string): void {
    this.text += text;
  }

  on(_event: 'error', listener: (error: Error) => void): void {
    this.#listeners.push(listener);
  }

  fail(): void {
    assert.ok(this.#listeners.length > 0, 'an error nobody listens to ends the process');
    for (const listener of this.#listeners) listener(new Error('EPIPE'));
  }

  /** What the last line of a screen of so many columns shows: no more than it has. */
  lastLine(): string {
    const line: string[] = [];
    let at = 0;
    for (const character of this.text.slice(this.text.lastIndexOf('\n') + 1)) {
      if (character === '\r') {
        at = 0;
      } else {
        line[at] = character;
        at += 1;
      }
    }
    return line.join('').trimEnd();
  }
}

function makeTerminal(columns?: number) {
  const out = new FakeOutput();
  const errors = new FakeOutput();
  out.columns = columns;
  return { out, errors, terminal: new Terminal(out, errors) };
}

test('lines go to the output, complaints to the error output', () => {
  const { out, errors, terminal } = makeTerminal();
  terminal.print('one');
  terminal.complain('two');
  assert.equal(out.text, 'one\n');
  assert.equal(errors.text, 'two\n');
  assert.equal(terminal.isInteractive, true);
  out.isTTY = false;
  assert.equal(terminal.isInteractive, false);
});

test('a status replaces the one before, also a longer one', () => {
  const { out, terminal } = makeTerminal(80);
  terminal.showStatus('1,000 connections');
  assert.equal(out.lastLine(), '1,000 connections');
  terminal.showStatus('9 connections');
  assert.equal(out.lastLine(), '9 connections');
  assert.doesNotMatch(out.text, /\n/);
});

test('a status is cut so that it never wraps', () => {
  const { out, terminal } = makeTerminal(10);
  terminal.showStatus('0123456789abcdef');
  assert.equal(out.lastLine(), '012345678');
  out.columns = 5;
  terminal.showStatus('0123456789abcdef');
  assert.match(out.text, /\r0123$/);
  out.columns = 0;
  terminal.showStatus('x'.repeat(200));
  assert.match(out.text, /\rx{79}$/, 'of an unknown width 80 is assumed');
});

test('a line takes the place of the status, and of the ^C behind it', () => {
  const { out, errors, terminal } = makeTerminal(80);
  terminal.showStatus('9 connections');
  out.write('^C');
  terminal.print('ended');
  assert.match(out.text, /\r {15}\rended\n$/);
  terminal.showStatus('9 connections');
  terminal.complain('warning');
  assert.equal(out.lastLine(), '');
  assert.equal(errors.text, 'warning\n');
  const before = out.text;
  terminal.clearStatus();
  assert.equal(out.text, before, 'nothing is there to be cleared');
});

test('an output that is gone does not end the program', () => {
  const { out, errors } = makeTerminal();
  out.fail();
  errors.fail();
});
