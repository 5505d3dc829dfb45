/**
 * The kernel of the calling thread, one for all servers and dials that run in it: memory that a closed server leaves is
 * used again by the next, and is never unmapped under a view that the program may have kept.
 */

import { DescriptorRegistry } from '../base/descriptors.js';
import { LinuxKernel } from '../base/linux-kernel.js';
import { platformProblem } from '../base/platform.js';
import { MillraceError } from '../errors.js';

/** The owner of descriptors that no reactor's thread has: those of the thread that called `serve`. */
export const MAIN_OWNER = 0xfffe;

let registry: DescriptorRegistry | undefined;
let kernel: LinuxKernel | undefined;

/** A reactor's thread has its kernel already: what else runs there shares it, and is cleaned up with it. */
export function useThreadKernel(ours: LinuxKernel, descriptors: DescriptorRegistry): void {
  kernel = ours;
  registry = descriptors;
}

/** Throws MillraceError where none of our drivers can run, before anything of the system is touched. */
export function checkPlatform(): void {
  const problem = platformProblem(process.platform, process.arch);
  if (problem !== undefined) {
    throw new MillraceError('ERR_PLATFORM', `${problem}; \`millrace doctor\` tells more`);
  }
}

export function threadRegistry(): DescriptorRegistry {
  if (registry === undefined) {
    checkPlatform();
    registry = DescriptorRegistry.create(new LinuxKernel().descriptorLimit());
  }
  return registry;
}

export function threadKernel(): LinuxKernel {
  kernel ??= new LinuxKernel({ registry: threadRegistry(), owner: MAIN_OWNER });
  return kernel;
}
