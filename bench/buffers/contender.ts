/**
 * What the buffer comparison asks of a receive buffer. A contender gets bytes the way its design allows: `receive`
 * stands for the system call, whose one copy goes straight into a fixed array or a ring, and into the driver's receive
 * buffer for linked blocks. `endTurn` is the return of the hook.
 */

export interface Contender {
  readonly length: number;
  /** Bytes [from, to) of `network` arrive. */
  receive(network: Buffer, from: number, to: number): void;
  /** Of the frame whose length was read and whose bytes are awaited; -1 between frames. For the workloads. */
  wanted: number;
  readUint32(): number | undefined;
  /** Takes `n` bytes in one piece; undefined if there are fewer. Valid until the next `receive`. */
  next(n: number): Buffer | undefined;
  skip(n: number): boolean;
  /** Hands the first `n` bytes to the sending side, which sends them to `socket` (a copy, as the system call does). */
  forward(n: number, socket: Buffer): void;
  endTurn(): void;
}

export interface ContenderKind {
  readonly name: string;
  make(): Contender;
  /** Off-heap bytes that all contenders of this kind hold together, beside what V8 accounts for. */
  offHeapBytes(): number;
  /** Gives back what an idle process would give back. */
  trim(): void;
}
