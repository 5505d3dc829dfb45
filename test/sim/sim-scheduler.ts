/**
 * Picks what runs next in a world: one deferred callback, one ringing doorbell, one due alarm, one due delivery or one
 * peer's action. The kind is drawn by the world's weights among those that have something to run, and the one of that
 * kind at random. Time stands still while something can run, but for small jumps that the shape asks for; when
 * nothing can run, it jumps to the next alarm or delivery.
 */

import type { Random } from './random.js';
import type { WorldShape } from './shape.js';
import type { SimAlarm, SimDoorbell, SimHost } from './sim-host.js';
import type { Timeline } from './sim-timeline.js';
import type { SimTrace } from './sim-trace.js';

/** Someone outside of the process who acts when scheduled. */
export interface Actor {
  /** Does one small thing; false when there was nothing to do, and until `Scheduler.ready` is called again. */
  act(): boolean;
}

const KINDS = ['deferred', 'doorbell', 'alarm', 'segment', 'peer'] as const;

export class Scheduler {
  readonly hosts: SimHost[] = [];
  readonly #random: Random;
  readonly #shape: WorldShape;
  readonly #timeline: Timeline;
  readonly #trace: SimTrace;
  readonly #weights: readonly number[];
  readonly #actors: Actor[] = [];
  readonly #isActing = new Set<Actor>();
  /** What can run now, filled anew in each step. */
  readonly #ringing: SimDoorbell[] = [];
  readonly #due: SimAlarm[] = [];
  readonly #deferring: SimHost[] = [];
  readonly #sizes = [0, 0, 0, 0, 0];
  steps = 0;
  segments = 0;
  peerActions = 0;
  /** Steps in which time had to jump because nothing could run. */
  idleJumps = 0;

  constructor(random: Random, shape: WorldShape, timeline: Timeline, trace: SimTrace) {
    this.#random = random;
    this.#shape = shape;
    this.#timeline = timeline;
    this.#trace = trace;
    const { weightDeferred, weightDoorbell, weightAlarm, weightSegment, weightPeer } = shape;
    this.#weights = [weightDeferred, weightDoorbell, weightAlarm, weightSegment, weightPeer];
  }

  /** An actor may have something to do. */
  ready(actor: Actor): void {
    if (this.#isActing.has(actor)) return;
    this.#isActing.add(actor);
    this.#actors.push(actor);
  }

  /** Runs one thing. False when there is nothing, now or at any later time. */
  step(): boolean {
    const timeline = this.#timeline;
    if (this.#shape.jumpChance > 0 && this.#random.chance(this.#shape.jumpChance)) {
      timeline.now += this.#random.fraction() * this.#shape.jumpMaxMs;
    }
    for (;;) {
      const kind = this.choose();
      if (kind >= 0) {
        this.steps++;
        this.run(kind);
        return true;
      }
      const next = Math.min(timeline.nextDueMs, this.nextAlarmMs());
      if (next === Number.POSITIVE_INFINITY) return false;
      this.idleJumps++;
      timeline.now = Math.max(timeline.now, next);
    }
  }

  /** Makes all deliveries that are due or become due up to `untilMs`, and nothing else. */
  deliver(untilMs: number): void {
    const timeline = this.#timeline;
    while (timeline.nextDueMs <= untilMs) {
      timeline.now = Math.max(timeline.now, timeline.nextDueMs);
      this.segments++;
      timeline.deliverNext();
    }
  }

  /** The index of the kind to run, or -1 when nothing can run at this time. */
  private choose(): number {
    this.collect();
    const sizes = this.#sizes;
    sizes[0] = this.#deferring.length;
    sizes[1] = this.#ringing.length;
    sizes[2] = this.#due.length;
    sizes[3] = this.#timeline.nextDueMs <= this.#timeline.now ? 1 : 0;
    sizes[4] = this.#actors.length;
    let total = 0;
    for (let i = 0; i < sizes.length; i++) if (sizes[i]! > 0) total += this.#weights[i]!;
    if (total === 0) return -1;
    let at = this.#random.below(total);
    for (let i = 0; i < sizes.length; i++) {
      if (sizes[i] === 0) continue;
      at -= this.#weights[i]!;
      if (at < 0) return i;
    }
    return -1;
  }

  private collect(): void {
    this.#deferring.length = 0;
    this.#ringing.length = 0;
    this.#due.length = 0;
    const now = this.#timeline.now;
    for (const host of this.hosts) {
      if (host.deferredCount > 0) this.#deferring.push(host);
      for (const doorbell of host.doorbells) if (doorbell.isRinging) this.#ringing.push(doorbell);
      for (const alarm of host.alarms) if (alarm.dueMs <= now) this.#due.push(alarm);
    }
  }

  private run(kind: number): void {
    const index = kind < 3 ? this.#random.below(this.#sizes[kind]!) : 0;
    this.#trace.step(KINDS[kind]!, index, this.#timeline.now);
    if (kind === 0) this.#deferring[index]!.runDeferred();
    else if (kind === 1) this.#ringing[index]!.run();
    else if (kind === 2) this.#due[index]!.run();
    else if (kind === 3) {
      this.segments++;
      this.#timeline.deliverNext();
    } else this.runActor();
  }

  private runActor(): void {
    this.peerActions++;
    const at = this.#random.below(this.#actors.length);
    const actor = this.#actors[at]!;
    const last = this.#actors.pop()!;
    if (at < this.#actors.length) this.#actors[at] = last;
    // Off the list first: what it does may make it ready again.
    this.#isActing.delete(actor);
    if (actor.act()) this.ready(actor);
  }

  private nextAlarmMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const host of this.hosts) {
      for (const alarm of host.alarms) if (alarm.dueMs < next) next = alarm.dueMs;
    }
    return next;
  }
}
