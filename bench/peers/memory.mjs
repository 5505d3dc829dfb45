// What the benchmark asks a server in JavaScript on its standard input: for "memory", a line of JSON with the bytes of
// JavaScript memory in use after a collection (`node --expose-gc`). Used by the servers beside it and in ../servers.
import { createInterface } from 'node:readline';

/** `more` may add figures to the answer. */
export function answerMemory(more = () => ({})) {
  createInterface({ input: process.stdin }).on('line', () => {
    // Weak references are cleared by the first, what they held by the second.
    for (let i = 0; i < 3; i += 1) globalThis.gc?.();
    const { heapUsed, external } = process.memoryUsage();
    process.stdout.write(`${JSON.stringify({ heapBytes: heapUsed + external, ...more() })}\n`);
  });
  // A server that has closed is to end.
  process.stdin.unref?.();
}
