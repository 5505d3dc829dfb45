/** The io_uring driver on the real kernel: as it is made here, and as older kernels would make it. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { LinuxKernel } from '../../src/base/linux-kernel.js';
import { chooseDriver } from '../../src/connection/drivers/choose.js';
import { UringDriver } from '../../src/connection/drivers/uring.js';
import { probeUring, type UringFeatures } from '../../src/connection/drivers/uring-setup.js';
import { driverContract } from './driver.js';
import { openLinuxFile } from './linux-file.js';

const kernel = new LinuxKernel();
const probed = probeUring(kernel);

function suite(name: string, change: Partial<UringFeatures>, directFiles: number): void {
  if (typeof probed === 'number') {
    it(`io_uring on Linux, ${name}: forbidden here, so that auto is epoll`, () => {
      assert.equal(chooseDriver(kernel, 'auto', false).name, 'epoll');
    });
    return;
  }
  driverContract(`io_uring on Linux, ${name}`, () => {
    const features = { ...probed, ...change };
    return {
      kernel,
      createDriver: (completions, options) =>
        new UringDriver(kernel, completions, { ...options, features, directFiles }),
      openFile: openLinuxFile,
      step: () => new Promise((resolve) => setImmediate(resolve)),
    };
  });
}

suite('as it is here', {}, 0);
suite('before 6.12', { incrementalBuffers: false }, 0);
suite('as of 5.19', { incrementalBuffers: false, multishotReceive: false, deferredWork: false }, 0);
