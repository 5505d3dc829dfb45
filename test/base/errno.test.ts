/** Errno numbers, names and texts. The numbers are compared with the C headers in layout.test.ts. */

import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import * as errno from '../../src/base/errno.js';
import {
  EAGAIN,
  EINPROGRESS,
  EINTR,
  ERRNO,
  EWOULDBLOCK,
  errnoName,
  errnoText,
  isWouldBlock,
} from '../../src/base/errno.js';
import { SystemError } from '../../src/errors.js';

const ALIASES = ['EWOULDBLOCK', 'EDEADLOCK', 'ENOTSUP'];
const onLinux = { skip: process.platform === 'linux' ? false : 'the numbers are those of Linux' };

test('all errnos that Node knows have the same number here', onLinux, () => {
  const exported = errno as unknown as Record<string, number>;
  for (const [name, number] of Object.entries(constants.errno)) {
    assert.equal(exported[name], number, name);
  }
});

test('each row of ERRNO is exported under its name, and nothing else but the second names', () => {
  const exported = Object.entries(errno).filter(([, value]) => typeof value === 'number');
  const rows = exported.filter(([name]) => !ALIASES.includes(name));
  assert.deepEqual(Object.fromEntries(rows), { ...ERRNO });
  assert.equal(exported.length - rows.length, ALIASES.length);
});

test('errnoName() is the inverse of ERRNO, and numbers and names occur once', () => {
  for (const [name, number] of Object.entries(ERRNO)) {
    assert.equal(errnoName(number), name);
  }
  assert.equal(new Set(Object.values(ERRNO)).size, Object.keys(ERRNO).length);
});

test('an unknown errno is named by its number', () => {
  assert.equal(errnoName(41), 'E41');
  assert.equal(errnoName(999), 'E999');
  assert.equal(errnoText(999), 'system error 999');
});

test('each errno has a text of its own that fits into a sentence', () => {
  const texts = Object.values(ERRNO).map((number) => errnoText(number));
  assert.equal(new Set(texts).size, texts.length);
  for (const text of texts) {
    assert.match(text, /^[a-z].*[^.]$/);
    assert.ok(text.length <= 60, text);
  }
});

test('a SystemError says what failed, where and why', () => {
  const error = new SystemError('bind', ERRNO.EADDRINUSE, 'tcp://127.0.0.1:80');
  assert.equal(
    error.message,
    'Cannot bind tcp://127.0.0.1:80: the address is already in use (EADDRINUSE)',
  );
  assert.equal(error.code, 'EADDRINUSE');
});

test('only EAGAIN, also called EWOULDBLOCK, means that a call would block', () => {
  assert.equal(EWOULDBLOCK, EAGAIN);
  assert.deepEqual(
    Object.values(ERRNO).filter((number) => isWouldBlock(number)),
    [EAGAIN],
  );
  assert.equal(isWouldBlock(EINTR) || isWouldBlock(EINPROGRESS) || isWouldBlock(0), false);
});
