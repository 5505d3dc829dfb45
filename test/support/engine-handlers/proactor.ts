/** Echoes by a watcher of its own in each reactor's thread, and tells of it. */

import type { Connection, Handler, Reactor } from '../../../src/index.js';
import { type Result, Watcher, type WatcherStats } from '../../../src/proactor/index.js';

export interface ProactorData {
  /** How bytes are read: into the watcher's memory, into buffers of so many bytes, or filling them. */
  readonly mode: 'shared' | 'own' | 'full';
  readonly bytes: number;
}

export default function createHandler({ mode, bytes }: ProactorData): Handler {
  const watcher = new Watcher();

  const read = (connection: Connection) => {
    if (mode === 'shared') {
      watcher.read(connection);
    } else if (mode === 'own') {
      watcher.read(connection, Buffer.allocUnsafe(bytes));
    } else {
      watcher.readFull(connection, Buffer.allocUnsafe(bytes));
    }
  };

  const answer = ({ operation, connection, buffer, size, error }: Result) => {
    if (operation === 'write') {
      if (error !== undefined) {
        watcher.free(connection);
      }
      return;
    }
    if (size > 0) {
      watcher.write(connection, Buffer.from(buffer.subarray(0, size)));
    }
    if (error === undefined) {
      read(connection);
    } else {
      watcher.free(connection);
    }
  };

  const consume = async () => {
    for await (const results of watcher) {
      results.forEach(answer);
    }
  };
  void consume();

  return {
    onOpen: (connection) => read(connection),
    onShutdown: () => watcher.close(),
    tasks: {
      stats: (): WatcherStats => watcher.stats,
      index: ({ index }: Reactor) => index,
    },
  };
}
