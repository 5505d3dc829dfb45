/**
 * The ways to set up a ring that are compared. What the driver needs of any ring is in all of them: it counts on a
 * wrong submission not holding up those after it.
 */
import {
  SETUP_COOP_TASKRUN,
  SETUP_DEFER_TASKRUN,
  SETUP_SINGLE_ISSUER,
  SETUP_SUBMIT_ALL,
  SETUP_TASKRUN_FLAG,
} from '../../src/base/uring.js';

export interface FlagSet {
  readonly name: string;
  readonly flags: number;
}

/** The first is what the others are compared with. */
export const FLAG_SETS: readonly FlagSet[] = [
  { name: 'default', flags: SETUP_SUBMIT_ALL },
  { name: 'coop', flags: SETUP_SUBMIT_ALL | SETUP_COOP_TASKRUN },
  // What the driver uses before Linux 6.1.
  { name: 'coop+flag', flags: SETUP_SUBMIT_ALL | SETUP_COOP_TASKRUN | SETUP_TASKRUN_FLAG },
  { name: 'single', flags: SETUP_SUBMIT_ALL | SETUP_SINGLE_ISSUER },
  {
    // What the driver uses. Without TASKRUN_FLAG it could not see that work waits, and would rest for ever.
    // COOP_TASKRUN is said, too, and makes no difference: deferred work never interrupts.
    name: 'single+defer',
    flags:
      SETUP_SUBMIT_ALL |
      SETUP_SINGLE_ISSUER |
      SETUP_DEFER_TASKRUN |
      SETUP_COOP_TASKRUN |
      SETUP_TASKRUN_FLAG,
  },
];
