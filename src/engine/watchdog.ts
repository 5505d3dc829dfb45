/**
 * The watchdog: tells when a reactor stays in one turn for too long, and in which hook. It runs on the main thread and
 * looks at the reactors' shared statistics once in a while, but only while any of them works: a reactor that starts to
 * work when the watchdog sleeps wakes it (one eventfd write), and when all have been idle for one interval it sleeps
 * again. So an idle server has no wake-ups at all.
 */

import type { Kernel } from '../base/kernel.js';
import { Counter, type ReactorStats } from '../connection/stats.js';
import { MillraceError } from '../errors.js';

/** The one cell of the shared buffer: 1 while the watchdog looks. */
const AWAKE = 0;

/** A reactor's side: called once a turn. */
export class TurnWatch {
  readonly #kernel: Kernel;
  readonly #cell: Int32Array;
  readonly #descriptor: number;

  constructor(kernel: Kernel, shared: SharedArrayBuffer, descriptor: number) {
    this.#kernel = kernel;
    this.#cell = new Int32Array(shared);
    this.#descriptor = descriptor;
  }

  note(): void {
    if (this.#descriptor >= 0 && this.#cell[AWAKE] === 0) {
      if (Atomics.compareExchange(this.#cell, AWAKE, 0, 1) === 0) {
        this.#kernel.signal(this.#descriptor);
      }
    }
  }
}

export interface WatchdogOptions {
  readonly kernel: Kernel;
  readonly shared: SharedArrayBuffer;
  readonly blockedAfterMs: number;
  readonly replaceAfterMs: number;
  readonly stats: (index: number) => ReactorStats;
  readonly count: number;
  readonly setTimer: (milliseconds: number, callback: () => void) => number;
  readonly clearTimer: (timer: number) => void;
  readonly onBlocked: (index: number, error: MillraceError) => void;
  readonly onReplace: (index: number) => void;
}

export class Watchdog {
  readonly #options: WatchdogOptions;
  readonly #cell: Int32Array;
  /** What each reactor was doing at the last look. */
  readonly #turns: number[];
  readonly #reported: number[];
  #timer = -1;
  #isClosed = false;

  constructor(options: WatchdogOptions) {
    this.#options = options;
    this.#cell = new Int32Array(options.shared);
    this.#turns = new Array<number>(options.count).fill(-1);
    this.#reported = new Array<number>(options.count).fill(0);
  }

  /** A reactor woke the watchdog; or something else, such as a client or its own timer, woke the main thread. */
  wake(): void {
    if (this.#timer < 0 && !this.#isClosed && Atomics.load(this.#cell, AWAKE) === 1) {
      this.#arm();
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#options.clearTimer(this.#timer);
  }

  #arm(): void {
    const { blockedAfterMs, setTimer } = this.#options;
    this.#timer = setTimer(Math.max(10, Math.ceil(blockedAfterMs / 2)), () => this.#look());
  }

  #look(): void {
    this.#timer = -1;
    const { count, kernel } = this.#options;
    const now = kernel.now();
    let isAnyoneBusy = false;
    for (let index = 0; index < count; index += 1) {
      isAnyoneBusy = this.#lookAt(index, now) || isAnyoneBusy;
    }
    if (isAnyoneBusy) {
      this.#arm();
      return;
    }
    Atomics.store(this.#cell, AWAKE, 0);
    // A turn that began before the store saw 1 and did not signal: look once more.
    for (let index = 0; index < count; index += 1) {
      if (this.#options.stats(index).turnStartedAt > 0) {
        Atomics.store(this.#cell, AWAKE, 1);
        this.#arm();
        return;
      }
    }
  }

  /** Whether the reactor has worked since the last look or is in a turn. */
  #lookAt(index: number, now: number): boolean {
    const { blockedAfterMs, replaceAfterMs, onBlocked, onReplace } = this.#options;
    const stats = this.#options.stats(index);
    const { turnStartedAt } = stats;
    const turns = stats.get(Counter.turns);
    if (turnStartedAt > 0 && now - turnStartedAt >= blockedAfterMs) {
      const blockedMs = now - turnStartedAt;
      if (this.#reported[index] !== turnStartedAt) {
        this.#reported[index] = turnStartedAt;
        onBlocked(index, blockedError(index, stats, blockedMs));
      }
      if (replaceAfterMs > 0 && blockedMs >= replaceAfterMs) {
        onReplace(index);
      }
      return true;
    }
    const isBusy = turnStartedAt > 0 || turns !== this.#turns[index];
    this.#turns[index] = turns;
    return isBusy;
  }
}

function blockedError(index: number, stats: ReactorStats, blockedMs: number): MillraceError {
  const { hook, slot } = stats;
  const where =
    hook === 'none' ? 'outside of a hook' : `in ${hook}${slot < 0 ? '' : ` of slot ${slot}`}`;
  return new MillraceError(
    'ERR_REACTOR_BLOCKED',
    `Reactor ${index} has been ${where} for ${Math.round(blockedMs)} ms: its other connections wait`,
  );
}
