/** Numbers as people read them. The same on every machine, whatever its locale. */

/** `1,234,567`. */
export function formatCount(n: number): string {
  return String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `1 connection`, `1,234 connections`. */
export function formatNoun(n: number, noun: string): string {
  return `${formatCount(n)} ${noun}${n === 1 ? '' : 's'}`;
}

/** Bytes as millions with one decimal: `1,234.5 MB`. */
export function formatMegabytes(bytes: number): string {
  const tenths = Math.round(bytes / 100_000);
  return `${formatCount(Math.floor(tenths / 10))}.${tenths % 10} MB`;
}

/** `0.4 s`, `2 min 5 s`, `26 h 3 min`. */
export function formatDuration(milliseconds: number): string {
  const seconds = milliseconds / 1_000;
  if (seconds < 59.95) {
    return `${seconds.toFixed(1)} s`;
  }
  const minutes = Math.floor(Math.round(seconds) / 60);
  return minutes < 60
    ? `${minutes} min ${Math.round(seconds) % 60} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
