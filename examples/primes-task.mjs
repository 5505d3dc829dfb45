/** What the threads of primes.mjs run: Eratosthenes' sieve over the odd numbers. */

/**
 * How many primes there are up to `limit`.
 *
 * @param {number} limit
 * @returns {number}
 */
export default function countPrimes(limit) {
  if (limit < 2) return 0;
  const half = (limit + 1) >> 1;
  const isComposite = new Uint8Array(half);
  let count = 1;
  for (let i = 1; i < half; i += 1) {
    if (isComposite[i] !== 0) continue;
    count += 1;
    for (let j = 2 * i * (i + 1); j < half; j += 2 * i + 1) isComposite[j] = 1;
  }
  return count;
}
