/** cli/trials: what is tried works on the machine that the tests run on. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { isAtLeast, tryAll } from '../../src/cli/trials.js';

test('the FFI, epoll and an echo work here', async () => {
  const findings = new Map((await tryAll(() => undefined)).map((each) => [each.name, each]));
  for (const name of ['FFI (koffi)', 'driver epoll', 'echo through millrace']) {
    assert.equal(findings.get(name)?.level, 'ok', `${name}: ${findings.get(name)?.value}`);
  }
  // Forbidden in some containers, which is told.
  assert.match(findings.get('driver uring')!.level, /^(ok|note)$/);
  assert.match(findings.get('driver uring')!.value, /io_uring/);
});

test('versions are compared by their numbers', () => {
  assert.equal(isAtLeast('20.20.2', '20.19'), true);
  assert.equal(isAtLeast('20.19.0', '20.19'), true);
  assert.equal(isAtLeast('22.0.0', '20.19'), true);
  assert.equal(isAtLeast('20.9.9', '20.19'), false);
  assert.equal(isAtLeast('9.99.99', '20.19'), false);
});
