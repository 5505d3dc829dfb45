/** A handler that does nothing. */

import type { Handler } from '../../../src/index.js';

export const handler: Handler = {};
