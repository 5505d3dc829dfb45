/** The `signal` of `Server.close`: when it is aborted the deadline has passed. */

import type { CloseOptions } from '../api.js';
import { count } from '../connection/profile.js';

const DEADLINE_DEFAULT_MS = 10_000;

/** How long the graceful part may take: no time at all if the signal is aborted already. */
export function closeDeadline(options: CloseOptions): number {
  const deadlineMs = count(options, 'deadlineMs', DEADLINE_DEFAULT_MS);
  const { signal } = options;
  if (signal !== undefined && typeof signal?.addEventListener !== 'function') {
    throw new TypeError(`Expected signal to be an AbortSignal, got ${String(signal)}`);
  }
  return signal?.aborted === true ? 0 : deadlineMs;
}

/** Calls `hurry` when the signal is aborted before the server has closed. */
export function hurryOnAbort(
  { signal }: CloseOptions,
  closing: Promise<void>,
  hurry: () => void,
): void {
  if (signal !== undefined && !signal.aborted) {
    signal.addEventListener('abort', hurry, { once: true });
    const remove = () => signal.removeEventListener('abort', hurry);
    closing.then(remove, remove);
  }
}
