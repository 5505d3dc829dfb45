/**
 * The model against the original: the same sequences of calls on the simulated and on the real kernel must give the
 * same results and the same epoll events. The simulated kernel runs first; on the real one, whose network takes its own
 * time, an observation is repeated until it agrees or a generous deadline has passed.
 */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Kernel } from '../../src/base/kernel.js';
import { LinuxKernel } from '../../src/base/linux-kernel.js';
import { Rig } from './differential-rig.js';
import { ADDRESS_SCRIPTS } from './scripts-address.js';
import { DATAGRAM_SCRIPTS } from './scripts-datagram.js';
import { EPOLL_SCRIPTS } from './scripts-epoll.js';
import { TCP_SCRIPTS } from './scripts-tcp.js';
import { UNIX_SCRIPTS } from './scripts-unix.js';
import { URING_SCRIPTS } from './scripts-uring.js';
import { URING_ACCEPT_SCRIPTS } from './scripts-uring-accept.js';
import { URING_DATA_SCRIPTS } from './scripts-uring-data.js';
import { URING_POLL_SCRIPTS } from './scripts-uring-poll.js';
import { SimWorld } from './sim-world.js';

const isLinux = process.platform === 'linux';
const addresses = Object.values(networkInterfaces()).flat();
const hasIpv6 = addresses.some((one) => one?.address === '::1');

describe('the simulated kernel answers as Linux does', { skip: !isLinux }, () => {
  let directory = '';
  let linux: Kernel;

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'millrace-sim-'));
    linux = new LinuxKernel();
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  const scripts = [
    ...TCP_SCRIPTS,
    ...UNIX_SCRIPTS,
    ...DATAGRAM_SCRIPTS,
    ...EPOLL_SCRIPTS,
    ...ADDRESS_SCRIPTS,
    ...URING_SCRIPTS,
    ...URING_ACCEPT_SCRIPTS,
    ...URING_POLL_SCRIPTS,
    ...URING_DATA_SCRIPTS,
  ];
  for (const script of scripts) {
    test(script.name, { skip: script.needsIpv6 === true && !hasIpv6 }, () => {
      const world = new SimWorld({ seed: 7, shape: 'plain' });
      world.files.addDirectory(directory);
      const expected = new Rig(world.kernel('sim'), directory, () => world.settle());
      script.run(expected);
      expected.finish();
      world.violations.take();
      assert.equal(world.table.count, 0, 'the script left descriptors open');

      const actual = new Rig(linux, directory, undefined, expected.log);
      try {
        script.run(actual);
      } finally {
        actual.finish();
      }
      assert.deepEqual(actual.log, expected.log);
    });
  }
});
