/**
 * The wall clock, for what protocols write for people and other machines: the Date field of HTTP, the age of a file.
 * Apart from `Kernel.now`, since it jumps: nothing that the library waits for may depend on it. Whoever uses it takes
 * it as an argument with this as the default, so that a simulation or a test gives its own.
 */

/** Milliseconds since 1970, UTC. */
export type WallClock = () => number;

export function wallClock(): number {
  return Date.now();
}
