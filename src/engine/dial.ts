/** `dial` without a server: connections of the calling thread, on its shared reactor. */

import type { Connection, DialOptions } from '../api.js';
import { sharedReactor } from './shared-reactor.js';

/**
 * Connects to `url`: tcp://, tcp4://, tcp6://, unix:// or unix-abstract://.
 *
 * @throws SystemError (`ECONNREFUSED`, `ETIMEDOUT`, …), the signal's reason, TypeError for a bad URL.
 */
export function dial(url: string, options: DialOptions = {}): Promise<Connection> {
  return sharedReactor().dial(url, options);
}
