/** The driver contract on the io_uring driver over the simulated kernel: the same suite as on Linux (test/contract). */

import assert from 'node:assert/strict';
import { UringDriver } from '../../src/connection/drivers/uring.js';
import { probeUring, type UringFeatures } from '../../src/connection/drivers/uring-setup.js';
import { type DriverEnvironment, driverContract } from '../contract/driver.js';
import { SimFile } from './sim-file.js';
import { SimWorld } from './sim-world.js';

function environment(change: Partial<UringFeatures> = {}, directFiles = 0): DriverEnvironment {
  const world = new SimWorld({ seed: 1, shape: 'plain', descriptorsMore: 1_024 });
  const kernel = world.kernel('a');
  const features = probeUring(kernel);
  assert.ok(typeof features !== 'number');
  return {
    kernel,
    createDriver: (completions, options) =>
      new UringDriver(kernel, completions, {
        ...options,
        features: { ...features, ...change },
        directFiles,
      }),
    step: async () => {
      world.memory.forgetTemporaries();
      world.settle(0);
      world.violations.check();
    },
    openFile: (bytes) => {
      const file = new SimFile(bytes);
      const fd = kernel.openFile(file);
      return {
        fd,
        truncate: (byteLength) => {
          file.bytes = file.bytes.subarray(0, byteLength);
        },
      };
    },
    fillDescriptors: () => {
      const taken: number[] = [];
      for (let fd = kernel.eventfd(); fd >= 0; fd = kernel.eventfd()) taken.push(fd);
      return () => {
        for (const fd of taken) kernel.close(fd);
      };
    },
  };
}

driverContract('io_uring on the simulated kernel', () => environment());
driverContract('io_uring without incremental buffers, simulated', () =>
  environment({ incrementalBuffers: false }),
);
driverContract('io_uring without multishot receive, simulated', () =>
  environment({ multishotReceive: false, deferredWork: false }),
);
