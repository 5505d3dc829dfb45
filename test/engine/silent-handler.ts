/** A handler module that says nothing. */

import type { Handler } from '../../src/index.js';

export const handler: Handler = {};
