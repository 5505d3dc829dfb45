/** The options of the transport's connection that hold for the plaintext as well, and the memory it takes from. */

import type { Connection } from '../api.js';
import { BlockPool } from '../connection/block-pool.js';
import { SocketConnection } from '../connection/connection.js';
import { setFace } from '../connection/faces.js';
import { Profile } from '../connection/profile.js';
import { threadKernel } from '../engine/thread-kernel.js';

/** As in ConnectionOptions; a socket's profile has them. */
export type Limits = Pick<
  Profile,
  | 'allowHalfOpen'
  | 'highWaterMark'
  | 'lowWaterMark'
  | 'writeQueueMax'
  | 'readQueueMax'
  | 'lingerTimeoutMs'
  | 'whenFull'
>;

/** A connection of ours, on another one. Found by what it has, as its class stands on this file. */
interface Layered {
  readonly base: Connection;
  readonly limits: Limits;
}

function isLayered(base: Connection): base is Connection & Layered {
  return 'limits' in base && 'base' in base;
}

let defaults: Limits | undefined;
let threadPool: BlockPool | undefined;

export function limitsOf(base: Connection): Limits {
  if (base instanceof SocketConnection) {
    return base.profile;
  }
  if (isLayered(base)) {
    return base.limits;
  }
  defaults ??= new Profile({}, {});
  return defaults;
}

/** The reactor's pool, so that readers and writers of all its connections can pass blocks to each other. */
export function poolOf(base: Connection): BlockPool {
  if (base instanceof SocketConnection) {
    return base.owner.pool;
  }
  if (isLayered(base)) {
    return poolOf(base.base);
  }
  threadPool ??= new BlockPool(threadKernel());
  return threadPool;
}

/** How many layers of TLS are below a connection on this transport. */
export function depthOf(base: Connection): number {
  return isLayered(base) ? 1 + depthOf(base.base) : 0;
}

/** Whoever asks the reactor for the connection that all this stands on gets `face`. */
export function showAs(base: Connection, face: Connection): void {
  if (base instanceof SocketConnection) {
    setFace(base, face);
  } else if (isLayered(base)) {
    showAs(base.base, face);
  }
}
