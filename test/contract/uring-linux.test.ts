/** The io_uring driver on the real kernel: as it is made here, and as older kernels would make it. */

import { LinuxKernel } from '../../src/base/linux-kernel.js';
import { UringDriver } from '../../src/connection/drivers/uring.js';
import { probeUring, type UringFeatures } from '../../src/connection/drivers/uring-setup.js';
import { driverContract } from './driver.js';

const kernel = new LinuxKernel();
const probed = probeUring(kernel);

function suite(name: string, change: Partial<UringFeatures>, directFiles: number): void {
  driverContract(`io_uring on Linux, ${name}`, () => {
    if (typeof probed === 'number') {
      throw new Error(`io_uring cannot be used here: -${probed}`);
    }
    const features = { ...probed, ...change };
    return {
      kernel,
      createDriver: (completions, options) =>
        new UringDriver(kernel, completions, { ...options, features, directFiles }),
      step: () => new Promise((resolve) => setImmediate(resolve)),
    };
  });
}

suite('as it is here', {}, 0);
suite('before 6.12', { incrementalBuffers: false }, 0);
suite('as of 5.19', { incrementalBuffers: false, multishotReceive: false, deferredWork: false }, 0);
