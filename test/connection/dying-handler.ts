/** A handler module whose reactor can be killed. */

import type { Handler } from '../../src/index.js';

export const handler: Handler = {
  tasks: {
    die() {
      setImmediate(() => {
        throw new Error('as asked');
      });
      return new Promise(() => {});
    },
  },
};
