/** The driver contract on the epoll driver over the simulated kernel: the same suite as on Linux (test/contract). */

import { EpollDriver } from '../../src/connection/drivers/epoll.js';
import { driverContract } from '../contract/driver.js';
import { SimFile } from './sim-file.js';
import { SimWorld } from './sim-world.js';

driverContract('epoll on the simulated kernel', () => {
  const world = new SimWorld({ seed: 1, shape: 'plain', descriptorsMore: 1_024 });
  const kernel = world.kernel('a');
  return {
    kernel,
    createDriver: (completions, options) => new EpollDriver(kernel, completions, options),
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
});
