/** A task for piscina's threads that blocks until the test lets it go on: its order of events is the test's. */

export interface GatedTask {
  readonly name: string;
  /** Waits until this cell is not 0. */
  readonly gate?: SharedArrayBuffer;
  readonly throws?: boolean;
}

export default function run({ name, gate, throws }: GatedTask): string {
  if (gate !== undefined) {
    Atomics.wait(new Int32Array(gate), 0, 0);
  }
  if (throws === true) {
    throw new RangeError(`no ${name}`);
  }
  return `done ${name}`;
}
