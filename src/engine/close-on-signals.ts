/** Graceful shutdown when the process is asked to end. */

import type { Server } from '../api.js';
import { threadKernel } from './thread-kernel.js';

export interface SignalOptions {
  /** SIGTERM and SIGINT. */
  signals?: readonly NodeJS.Signals[];
  /** For the graceful part. 10,000. */
  deadlineMs?: number;
  /** Called with the signal before the shutdown begins. */
  onSignal?: (signal: NodeJS.Signals) => void;
  /** Called with the second signal, before what is left is cut off. */
  onHurry?: (signal: NodeJS.Signals) => void;
}

/** A signal so soon after the first is the same one: npm passes on the Ctrl-C that the terminal sends to us as well. */
const SAME_SIGNAL_MS = 500;

/**
 * Closes `server` gracefully on the first signal, at once on the second. The process then ends by itself, unless
 * something else keeps it. Returns a function that takes the handlers away again; they also go with the server.
 */
export function closeOnSignals(server: Server, options: SignalOptions = {}): () => void {
  const { signals = ['SIGTERM', 'SIGINT'], deadlineMs = 10_000, onSignal, onHurry } = options;
  const kernel = threadKernel();
  let firstAt = 0;
  const onAny = (signal: NodeJS.Signals) => {
    const isFirst = firstAt === 0;
    if (isFirst) {
      firstAt = kernel.now();
      onSignal?.(signal);
    } else if (kernel.now() - firstAt < SAME_SIGNAL_MS) {
      return;
    } else {
      onHurry?.(signal);
    }
    void server.close({ deadlineMs: isFirst ? deadlineMs : 0 });
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
