/**
 * A listener of a reactor: accepts, up to a budget each turn (the driver's), and gives the descriptors on, to its own
 * reactor or, in a main reactor, to the others.
 *
 * When there are no descriptors left (EMFILE, ENFILE) it must neither spin on the backlog nor leave clients hanging:
 * it gives up its reserve descriptor and, with that one, accepts and closes what comes (they see an orderly end), until
 * a descriptor is free again: when a connection closes, or 100 ms later. If even that fails, accepting pauses.
 */

import { EMFILE, ENFILE } from '../base/errno.js';
import type { Kernel } from '../base/kernel.js';
import { SystemError } from '../errors.js';
import type { ListenSocket } from './listen-socket.js';
import type { Profile } from './profile.js';
import type { ReactorState } from './reactor-state.js';
import { Counter } from './stats.js';
import { setUserTimer } from './user-timers.js';

/** HAProxy's pause when descriptors run out. */
const RETRY_MS = 100;
/** One warning of each kind for so long. */
const WARN_INTERVAL_MS = 1_000;

/** The reserve descriptor of one thread. */
export class Reserve {
  readonly #kernel: Kernel;
  #fd: number;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#fd = kernel.reserve();
  }

  get isHeld(): boolean {
    return this.#fd >= 0;
  }

  giveUp(): boolean {
    if (this.#fd < 0) {
      return false;
    }
    this.#kernel.close(this.#fd);
    this.#fd = -1;
    return true;
  }

  takeBack(): boolean {
    if (this.#fd < 0) {
      this.#fd = this.#kernel.reserve();
    }
    return this.#fd >= 0;
  }
}

/** Takes an accepted descriptor; false if there is no room, and the descriptor is still the caller's. */
export type Receiver = (fd: number, listener: Listener) => boolean;

export class Listener {
  readonly socket: ListenSocket;
  readonly profile: Profile;
  readonly slot: number;
  readonly #state: ReactorState;
  readonly #reserve: Reserve;
  readonly #receiver: Receiver;
  #isShedding = false;
  #isWaiting = false;
  #isStopped = false;
  #timer = -1;
  #warnedAt = Number.NEGATIVE_INFINITY;

  constructor(
    state: ReactorState,
    slot: number,
    socket: ListenSocket,
    profile: Profile,
    reserve: Reserve,
    receiver: Receiver,
  ) {
    this.#state = state;
    this.slot = slot;
    this.socket = socket;
    this.profile = profile;
    this.#reserve = reserve;
    this.#receiver = receiver;
  }

  start(): void {
    const n = this.#state.driver.listen(this.slot, this.socket.fd);
    if (n < 0) {
      throw new SystemError('listen', -n, this.socket.url);
    }
    this.#state.driver.accept(this.slot);
  }

  /** No more connections; those in the backlog are reset by the kernel when the descriptor closes. */
  stop(): void {
    if (!this.#isStopped) {
      this.#isStopped = true;
      this.#state.driver.close(this.slot, false);
      if (this.socket.path !== undefined) {
        this.#state.kernel.unlink(this.socket.path);
      }
      this.#state.requestTurn();
    }
  }

  onAccepted(fd: number): void {
    if (this.#isShedding) {
      this.#shed(fd, Counter.refusedDescriptorLimit);
    } else if (!this.#receiver(fd, this)) {
      this.#shed(fd, Counter.refusedConnectionsMax);
    } else {
      this.#state.stats.add(Counter.accepted, 1);
    }
  }

  onAcceptFailed(errno: number): void {
    const canShed = (errno === EMFILE || errno === ENFILE) && this.#reserve.giveUp();
    this.#warn(errno, canShed);
    if (canShed) {
      this.#isShedding = true;
      this.#state.driver.accept(this.slot);
    } else {
      this.#isWaiting = true;
    }
    if (this.#timer < 0) {
      this.#timer = setUserTimer(this.#state, RETRY_MS, () => {
        this.#timer = -1;
        this.recover();
      });
    }
  }

  /** Leaves accepting to the backlog for now: the reactor has all the connections it may have. */
  suspend(): void {
    if (!this.#isStopped && !this.#isWaiting) {
      this.#isWaiting = true;
      this.#state.driver.stopAccept(this.slot);
    }
  }

  /** A descriptor or a place may be free again. */
  recover(): void {
    if (this.#isStopped) {
      return;
    }
    if (this.#isShedding && this.#reserve.takeBack()) {
      this.#isShedding = false;
    }
    this.#reserve.takeBack();
    if (this.#isWaiting) {
      this.#isWaiting = false;
      this.#state.driver.accept(this.slot);
    }
    if (this.#isShedding && this.#timer < 0) {
      this.#timer = setUserTimer(this.#state, RETRY_MS, () => {
        this.#timer = -1;
        this.recover();
      });
    }
  }

  /** Whether `recover` has something to do. */
  get isImpaired(): boolean {
    return this.#isShedding || this.#isWaiting;
  }

  #shed(fd: number, reason: number): void {
    this.#state.driver.discard(fd);
    this.#state.stats.add(reason, 1);
  }

  #warn(errno: number, canShed: boolean): void {
    const { now } = this.#state;
    if (now - this.#warnedAt >= WARN_INTERVAL_MS) {
      this.#warnedAt = now;
      const error = new SystemError('accept', errno, this.socket.url);
      error.message += canShed
        ? '; new connections are closed until descriptors are free'
        : `; trying again in ${RETRY_MS} ms`;
      this.#state.warn(error);
    }
  }
}
