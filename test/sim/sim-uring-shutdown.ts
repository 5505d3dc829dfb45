/**
 * OP_SHUTDOWN, which Linux never does at once (io_shutdown_prep sets REQ_F_FORCE_ASYNC): a worker thread of io_uring
 * does it some time later, and its completion is task work like any other. It cannot be cancelled.
 */

import type { SimSocket } from './sim-socket.js';
import type { Target } from './sim-timeline.js';
import type { SimRing } from './sim-uring.js';
import type { Submission } from './sim-uring-entry.js';
import { type Outcome, RingRequest } from './sim-uring-request.js';

export class ShutdownRequest extends RingRequest implements Target {
  protected override readonly events = 0;
  readonly #socket: SimSocket;
  #result = 0;

  constructor(ring: SimRing, entry: Submission, file: SimSocket) {
    super(ring, entry, file, false);
    this.#socket = file;
  }

  override start(): void {
    const { world } = this.ring;
    world.timeline.schedule(world.network.latency(), this, 0);
  }

  /** The worker has its turn. */
  deliver(): void {
    if (this.isOver) return;
    this.#result = this.#socket.shutdown(this.entry.length);
    this.ring.queue(this);
  }

  protected override attempt(): Outcome {
    return this.finish(this.#result, 0);
  }
}
