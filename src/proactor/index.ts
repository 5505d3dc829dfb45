/** millrace/proactor: reads and writes that complete, in the way of gaio. Everything public is named here. */

export type {
  OperationError,
  OperationOptions,
  Result,
  Submission,
  Watchable,
  WatcherOptions,
  WatcherStats,
} from './api.js';
export { Watcher } from './watcher.js';
