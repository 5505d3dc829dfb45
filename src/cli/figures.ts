/** Numbers as people read them. The same on every machine, whatever its locale. */

/** `1,234,567`. */
export function formatCount(n: number): string {
  return String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `1 connection`, `1,234 connections`. */
export function formatNoun(n: number, noun: string): string {
  return `${formatCount(n)} ${noun}${n === 1 ? '' : 's'}`;
}

/** `17 B`, `1.2 kB`, `1,234.5 MB`, by powers of 1,000. */
export function formatBytes(bytes: number): string {
  if (bytes < 1_000) {
    return `${bytes} B`;
  }
  const [unit, name] = bytes < 999_950 ? [1_000, 'kB'] : [1_000_000, 'MB'];
  const tenths = Math.round((bytes / unit) * 10);
  return `${formatCount(Math.floor(tenths / 10))}.${tenths % 10} ${name}`;
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
