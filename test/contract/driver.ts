/**
 * The contract that every driver keeps (src/connection/driver.ts), as a suite that runs on any driver and any kernel.
 * The other side is always a raw socket of the same kernel, which does what it likes.
 */

import { afterEach, beforeEach, describe } from 'node:test';

import { closingSuite } from './driver-closing.js';
import { connectingSuite } from './driver-connecting.js';
import { receivingSuite } from './driver-receiving.js';
import { sendingSuite } from './driver-sending.js';
import { watchingSuite } from './driver-watching.js';
import { type DriverEnvironment, Rig } from './rig.js';

export type { DriverEnvironment } from './rig.js';

/** Registers the suite. */
export function driverContract(name: string, makeEnvironment: () => DriverEnvironment): void {
  describe(`driver contract: ${name}`, () => {
    let rig: Rig;
    beforeEach(() => {
      rig = new Rig(makeEnvironment());
    });
    afterEach(() => rig.destroy());
    const current = () => rig;
    connectingSuite(current);
    receivingSuite(current);
    sendingSuite(current);
    closingSuite(current);
    watchingSuite(current);
  });
}
