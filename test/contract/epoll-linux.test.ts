/** The epoll driver on the real kernel. */

import { LinuxKernel } from '../../src/base/linux-kernel.js';
import { EpollDriver } from '../../src/connection/drivers/epoll.js';
import { driverContract } from './driver.js';
import { openLinuxFile } from './linux-file.js';

driverContract('epoll on Linux', () => {
  const kernel = new LinuxKernel();
  return {
    kernel,
    createDriver: (completions, options) => new EpollDriver(kernel, completions, options),
    step: () => new Promise((resolve) => setImmediate(resolve)),
    openFile: openLinuxFile,
    fillDescriptors: () => {
      const taken: number[] = [];
      for (;;) {
        const fd = kernel.eventfd();
        if (fd < 0) {
          break;
        }
        taken.push(fd);
      }
      return () => {
        for (const fd of taken) {
          kernel.close(fd);
        }
      };
    },
  };
});
