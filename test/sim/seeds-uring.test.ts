/** Seeds with the io_uring driver: seeds-suite.ts. */

import { seedsSuite } from './seeds-suite.js';

seedsSuite('uring');
