/**
 * Faults: what Linux is allowed to do and seldom does. Each has a probability for every chance it gets. "Swarm"
 * means that each seed draws its own probabilities, most of them 0 in every second seed: bugs that need one fault
 * often and another never are not found when all faults are always on (Groce et al., "Swarm Testing", 2012).
 */

import type { Random } from './random.js';

/** The highest probability that a seed may draw for each fault. */
const CEILINGS = {
  /** receive gives a part of what is there. */
  shortReceive: 0.9,
  /** send takes a part of what fits. */
  shortSend: 0.9,
  /** EAGAIN although bytes, room or a connection are there. The event comes again. */
  receiveAgain: 0.3,
  sendAgain: 0.3,
  acceptAgain: 0.3,
  /** A signal: epollWait reports nothing though something is ready. */
  waitInterrupted: 0.3,
  /** epollWait leaves out some that are ready, so that later several reasons come in one event. */
  eventWithheld: 0.5,
  /** An event carries a part of its reasons. */
  eventSplit: 0.3,
  /** An event for something that is not ready. */
  eventSpurious: 0.2,
  /** Events in random order. */
  eventsShuffled: 1,
  /** accept: ECONNABORTED or EPROTO, and that connection is gone. */
  acceptAborted: 0.2,
  /** accept: ENOBUFS or ENOMEM, and the connection stays in the queue. */
  acceptNoMemory: 0.1,
  /** Anything that makes a descriptor: EMFILE, ENFILE. */
  tableFull: 0.1,
  systemFull: 0.1,
  /** socket: ENOBUFS or ENOMEM. */
  socketNoMemory: 0.1,
  /** receive: the connection is reset right now. */
  receiveReset: 0.02,
  /** send: the connection is reset right now: ECONNRESET, EPIPE or ETIMEDOUT. */
  sendReset: 0.02,
  /** send: ENOBUFS or ENOMEM; the connection stays as it is. */
  sendNoMemory: 0.02,
  /** connect: 0 at once instead of EINPROGRESS. */
  connectAtOnce: 0.5,
  /** connect: an error at once, such as ENETUNREACH. */
  connectFailed: 0.1,
  /** The SYN is answered with RST, or never. */
  connectRefused: 0.2,
  connectLost: 0.1,
  /** epollControl: ENOMEM or ENOSPC when something is added. */
  controlNoMemory: 0.05,
  /** allocate throws, allocateBlock gives 0. */
  regionNoMemory: 0.05,
  blockNoMemory: 0.05,
  /** A UDP datagram never arrives, or arrives twice. */
  datagramLost: 0.3,
  datagramTwice: 0.2,
  /** An alarm rings up to 1 ms before its time, as libuv's do: they count from the start of the loop's turn. */
  alarmEarly: 0.5,
  /** ringEnter: 0 or -EAGAIN, and nothing was done; or a part of the submissions was taken, and nothing else done. */
  ringInterrupted: 0.1,
  ringAgain: 0.1,
  ringPartial: 0.2,
  /** An operation that could be done at its submission is done later. */
  ringLate: 0.5,
  /** What became ready is reported in random order. */
  ringShuffled: 1,
  /** A multishot request ends with any completion, without IORING_CQE_F_MORE. */
  ringShotEnded: 0.2,
  /** A multishot request that is being cancelled reports what is ready before its ECANCELED. */
  ringCancelLate: 0.5,
} as const;

export type FaultName = keyof typeof CEILINGS;
export type FaultRates = Record<FaultName, number>;

export const FAULT_NAMES: readonly FaultName[] = Object.keys(CEILINGS) as FaultName[];

/** What a world is given: none, drawn from its seed, or given rates with 0 for the rest. */
export type FaultPlan = 'none' | 'swarm' | Partial<FaultRates>;

export class Faults {
  readonly rates: FaultRates;
  /** How often each fault happened: a seed that never had one proves nothing about it. */
  readonly counts: FaultRates = zeros();
  readonly #random: Random;

  constructor(plan: FaultPlan, random: Random) {
    this.#random = random;
    if (plan === 'swarm') this.rates = swarm(random);
    else if (plan === 'none') this.rates = zeros();
    else this.rates = { ...zeros(), ...plan };
  }

  /** Whether the fault happens now. A fault that is off draws nothing from the generator. */
  hit(name: FaultName): boolean {
    const rate = this.rates[name];
    if (rate === 0 || !this.#random.chance(rate)) return false;
    this.counts[name]++;
    return true;
  }

  /** Ends all faults, for the phase in which everything must come to an end. */
  stop(): void {
    for (const name of FAULT_NAMES) this.rates[name] = 0;
  }

  /** The rates above 0, for the report of a failing seed. */
  describe(): string {
    const parts = FAULT_NAMES.filter((name) => this.rates[name] > 0);
    return parts.map((name) => `${name}=${this.rates[name].toFixed(4)}`).join(' ');
  }
}

function zeros(): FaultRates {
  const rates = {} as FaultRates;
  for (const name of FAULT_NAMES) rates[name] = 0;
  return rates;
}

function swarm(random: Random): FaultRates {
  const rates = zeros();
  const likelihood = random.chance(0.5) ? 0.12 : 0.6;
  for (const name of FAULT_NAMES) {
    // Drawn by the trials that send any, so that the seeds of the others stay what they are.
    if (name.startsWith('datagram')) continue;
    if (!random.chance(likelihood)) continue;
    const ceiling = CEILINGS[name];
    rates[name] = random.logarithmic(Math.min(0.005, ceiling), ceiling);
  }
  return rates;
}
