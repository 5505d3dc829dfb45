/** Which driver `auto` would take here, and why: for people who ask (`millrace doctor`). */

import { chooseDriver, type DriverChoice } from '../connection/drivers/choose.js';
import { threadKernel } from './thread-kernel.js';

export function driverOfAuto(): DriverChoice {
  return chooseDriver(threadKernel(), 'auto', false);
}
