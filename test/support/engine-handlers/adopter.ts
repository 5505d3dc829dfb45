/** Echoes what descriptors say that other threads give to it, with the number of its reactor. */

import type { Connection, Handler, Reactor } from '../../../src/index.js';

export const handler: Handler = {
  tasks: {
    take: async (reactor: Reactor, fd: number): Promise<number> => {
      const connection = await reactor.adopt(fd, {
        handler: {
          onData: (each: Connection, bytes: Buffer) =>
            void each.write(`${reactor.index} ${bytes.toString()}`),
        },
      });
      return connection.id;
    },
  },
};
