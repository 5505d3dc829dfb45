/** Options of datagram sockets: defaults, and what is wrong with wrong ones. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AF_INET, AF_INET6, AF_UNIX } from '../../../src/base/linux.js';
import { DatagramProfile } from '../../../src/connection/datagram/profile.js';
import { compileDatagramOptions } from '../../../src/connection/datagram/socket-options.js';
import type { DatagramOptions } from '../../../src/index.js';

test('defaults', () => {
  const profile = new DatagramProfile({}, {});
  assert.deepEqual(
    [profile.receiveBytesMax, profile.receiveBudget, profile.sendQueueMax],
    [65_536, 64, 1_024],
  );
  assert.deepEqual([profile.hasSessions, profile.gro, profile.groups], [false, false, []]);
  const { hasSessions, idleTimeoutMs, sessionsMax } = new DatagramProfile({}, { sessions: true });
  assert.deepEqual([hasSessions, idleTimeoutMs, sessionsMax], [true, 60_000, 65_536]);
});

test('wrong options are told before anything is opened', () => {
  const wrong: [object, typeof Error][] = [
    [{ receiveBytesMax: 0 }, RangeError],
    [{ receiveBudget: 1.5 }, RangeError],
    [{ sendQueueMax: 0 }, RangeError],
    [{ whenQueueFull: 'explode' }, TypeError],
    [{ sessions: 3 }, TypeError],
    [{ sessions: { max: 0 } }, RangeError],
    [{ groups: 'one' }, TypeError],
    [{ gro: 1 }, TypeError],
    [{ gro: true, receiveBytesMax: 2_048 }, RangeError],
    [{ receiveBufferByte: 1 }, TypeError],
  ];
  for (const [options, error] of wrong) {
    assert.throws(() => new DatagramProfile({}, options as DatagramOptions), error);
  }
  assert.throws(() => new DatagramProfile({ onDatagram: 1 } as never, {}), TypeError);
  assert.throws(() => new DatagramProfile({}, null as never), TypeError);
});

test('socket options that make no sense throw, those a family does not have are left out', () => {
  const compile = (options: object, family = AF_INET) =>
    compileDatagramOptions(options as DatagramOptions, family, false, false);
  for (const [options, error] of [
    [{ ttl: 0 }, RangeError],
    [{ ttl: '1' }, TypeError],
    [{ multicastTtl: 256 }, RangeError],
    [{ multicastLoopback: 1 }, TypeError],
    [{ broadcast: 'yes' }, TypeError],
    [{ reusePort: 1 }, TypeError],
    [{ receiveBufferBytes: 0 }, RangeError],
    [{ bindToDevice: 'a/b' }, TypeError],
    [{ multicastInterface: {} }, TypeError],
  ] as const) {
    assert.throws(() => compile(options), error, JSON.stringify(options));
  }
  assert.deepEqual(compile({ ttl: 3, broadcast: true }, AF_UNIX), []);
  const both = compileDatagramOptions({ localAddresses: true }, AF_INET6, false, true).length;
  const six = compileDatagramOptions({ localAddresses: true }, AF_INET6, true, true).length;
  assert.equal(both, six + 2, 'a dual-stack socket asks for both families');
});
