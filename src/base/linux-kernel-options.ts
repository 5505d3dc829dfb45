/** What a LinuxKernel is told of the thread that it is for. */

import type { DescriptorRegistry } from './descriptors.js';
import type { RegionRegistry } from './region-registry.js';

export interface LinuxKernelOptions {
  /** Where each descriptor's owner is written; without it nothing is recorded. */
  readonly registry?: DescriptorRegistry;
  /** The owner to write: the reactor's index + 1. */
  readonly owner?: number;
  /** Where the addresses of regions are written, for a thread that is supervised. */
  readonly regions?: RegionRegistry;
}
