/** A world's first connection, for tests that begin with one. */

import assert from 'node:assert/strict';

import { parseUrl } from './sim-address.js';
import type { SimKernel } from './sim-kernel.js';
import type { SimPeer } from './sim-peer.js';
import type { SimWorld } from './sim-world.js';

export interface Connected {
  readonly listener: number;
  /** The accepted end. */
  readonly fd: number;
  readonly peer: SimPeer;
}

/** Listens, connects a peer, accepts it, and lets everything settle. */
export function connectPeer(world: SimWorld, kernel: SimKernel, address: string): Connected {
  const { domain, sockaddr } = parseUrl(address);
  const listener = kernel.socket(domain, 1, 0);
  kernel.bind(listener, sockaddr);
  kernel.listen(listener, 64);
  const peer = world.peer();
  peer.connect(address);
  let fd = -1;
  const hasAccepted = (): boolean => {
    fd = kernel.accept(listener);
    return fd >= 0;
  };
  assert.ok(world.runSync({ until: hasAccepted }));
  world.runSync({ until: () => false });
  return { listener, fd, peer };
}
