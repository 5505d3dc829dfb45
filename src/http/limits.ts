/**
 * What a peer may cost: the limits of one HTTP server, with their defaults. Each can be set in `httpHandler`; none can
 * be switched off but where 0 is said to mean so.
 */

/** Limits of reading a request. Bytes, counts and milliseconds. */
export interface HttpLimits {
  /** Request line and fields together. 16,384. */
  headBytesMax?: number;
  /** The request line, and each field line. 8,192. */
  lineBytesMax?: number;
  /** Fields of a head. 100. */
  fieldsMax?: number;
  /** A request's body after decoding. 1,073,741,824. */
  bodyBytesMax?: number;
  /** Extensions of one chunk. 256. */
  chunkExtensionBytesMax?: number;
  /** Extensions of all chunks of a body. 16,384. */
  chunkExtensionsBytesMax?: number;
  /** The trailer section. 8,192. */
  trailerBytesMax?: number;
  /** Fields of the trailer section. 32. */
  trailersMax?: number;
  /** From the first byte of a head to its last. 10,000. */
  headTimeoutMs?: number;
  /** From the head to the last byte of its body, without the time in which the handler did not want it. 300,000. */
  bodyTimeoutMs?: number;
  /** A connection on which no request is under way. 60,000. */
  idleTimeoutMs?: number;
  /** Bytes a second that a body must bring, and a response must take, after `rateGraceMs`. 1,024; 0: any. */
  rateMin?: number;
  /** 10,000. */
  rateGraceMs?: number;
  /** Bytes of a request's body that are read and dropped after an early response. 262,144. */
  drainBytesMax?: number;
  /** And the time for that. 5,000. */
  drainTimeoutMs?: number;
  /** Requests answered for one connection before the others get their turn. 256. */
  pipelineMax?: number;
  /** Requests of one connection, after which it is closed. 0: any number. */
  requestsMax?: number;
  /** Bytes of responses that wait for one peer; above, its next request waits too. 65,536. */
  outputBytesMax?: number;
}

type LimitCounts = Readonly<Required<HttpLimits>>;

export interface Limits extends LimitCounts {
  /** Whether CONNECT is a request like others. */
  readonly allowsConnect?: boolean;
}

export const LIMIT_DEFAULTS: LimitCounts = {
  headBytesMax: 16_384,
  lineBytesMax: 8_192,
  fieldsMax: 100,
  bodyBytesMax: 1_073_741_824,
  chunkExtensionBytesMax: 256,
  chunkExtensionsBytesMax: 16_384,
  trailerBytesMax: 8_192,
  trailersMax: 32,
  headTimeoutMs: 10_000,
  bodyTimeoutMs: 300_000,
  idleTimeoutMs: 60_000,
  rateMin: 1_024,
  rateGraceMs: 10_000,
  drainBytesMax: 262_144,
  drainTimeoutMs: 5_000,
  pipelineMax: 256,
  requestsMax: 0,
  outputBytesMax: 65_536,
};

/** Limits for which 0 means none. */
const MAY_BE_ZERO: readonly (keyof LimitCounts)[] = ['rateMin', 'requestsMax', 'drainBytesMax'];

export function readLimits(options: HttpLimits): Limits {
  return readCounts(LIMIT_DEFAULTS, MAY_BE_ZERO, options);
}

/** Fills in the defaults; throws RangeError for what is no count. */
export function readCounts<Counts extends { readonly [name in keyof Counts]: number }>(
  defaults: Counts,
  mayBeZero: readonly (keyof Counts)[],
  options: { readonly [name in keyof Counts]?: number | undefined },
): Counts {
  const counts = { ...defaults };
  for (const name of Object.keys(defaults) as (keyof Counts)[]) {
    const value = options[name];
    if (value === undefined) {
      continue;
    }
    const least = mayBeZero.includes(name) ? 0 : 1;
    if (!Number.isSafeInteger(value) || value < least) {
      throw new RangeError(
        `Expected ${String(name)} to be an integer of at least ${least}, got ${String(value)}`,
      );
    }
    counts[name] = value as Counts[keyof Counts];
  }
  return counts;
}
