/** Seeds with the epoll driver: seeds-suite.ts. */

import { seedsSuite } from './seeds-suite.js';

seedsSuite('epoll');
