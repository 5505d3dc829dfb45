/** Where values lie on an axis, and which of them are written beside it. */

/** Round numbers (1, 2 or 5 times a power of ten) from 0 to the first that is not below `max`; about six of them. */
export function linearTicks(max: number): number[] {
  if (!(max > 0)) return [0, 1];
  const power = 10 ** Math.floor(Math.log10(max / 5));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => max / size <= 6);
  const size = step ?? 10 * power;
  const count = Math.ceil(max / size - 1e-9);
  return Array.from({ length: count + 1 }, (_, i) => i * size);
}

/** Maps 0…max to from…to. */
export function linearScale(max: number, from: number, to: number): (value: number) => number {
  return (value) => from + (value / max) * (to - from);
}

/** Maps min…max to from…to by their logarithm; one value alone lies in the middle. */
export function logScale(
  min: number,
  max: number,
  from: number,
  to: number,
): (value: number) => number {
  if (min === max) return () => (from + to) / 2;
  const span = Math.log(max / min);
  return (value) => from + (Math.log(value / min) / span) * (to - from);
}

/** Moves labels apart so that neighbours are `gap` away from each other, and none goes below `max`; order is kept. */
export function spread(wanted: readonly number[], gap: number, max: number): number[] {
  const order = wanted.map((_, i) => i).sort((a, b) => (wanted[a] ?? 0) - (wanted[b] ?? 0));
  const places = [...wanted];
  let least = Number.NEGATIVE_INFINITY;
  for (const i of order) {
    places[i] = Math.max(wanted[i] ?? 0, least);
    least = (places[i] ?? 0) + gap;
  }
  let most = max;
  for (const i of order.reverse()) {
    places[i] = Math.min(places[i] ?? 0, most);
    most = (places[i] ?? 0) - gap;
  }
  return places;
}
