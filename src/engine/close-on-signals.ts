/** Graceful shutdown when the process is asked to end. */

import type { Server } from '../api.js';

export interface SignalOptions {
  /** SIGTERM and SIGINT. */
  signals?: readonly NodeJS.Signals[];
  /** For the graceful part. 10,000. */
  deadlineMs?: number;
  /** Called with the signal before the shutdown begins. */
  onSignal?: (signal: NodeJS.Signals) => void;
}

/**
 * Closes `server` gracefully on the first signal, at once on the second. The process then ends by itself, unless
 * something else keeps it. Returns a function that takes the handlers away again; they also go with the server.
 */
export function closeOnSignals(server: Server, options: SignalOptions = {}): () => void {
  const { signals = ['SIGTERM', 'SIGINT'], deadlineMs = 10_000, onSignal } = options;
  let count = 0;
  const onAny = (signal: NodeJS.Signals) => {
    count += 1;
    if (count === 1) {
      onSignal?.(signal);
    }
    void server.close({ deadlineMs: count === 1 ? deadlineMs : 0 });
  };
  for (const signal of signals) {
    process.on(signal, onAny);
  }
  const remove = () => {
    for (const signal of signals) {
      process.off(signal, onAny);
    }
  };
  void server.closed.then(remove, remove);
  return remove;
}
