/** File operations of Node's as the kernel contract wants them: 0 or -errno. */

import { chmodSync, lstatSync, unlinkSync } from 'node:fs';

/** A file operation of Node as `0` or `-errno`. */
export function attempt(operation: () => void): number {
  try {
    operation();
    return 0;
  } catch (error) {
    const number = (error as NodeJS.ErrnoException).errno;
    if (typeof number !== 'number' || number === 0) {
      throw error;
    }
    return number < 0 ? number : -number;
  }
}

export function unlinkPath(path: string): number {
  return attempt(() => unlinkSync(path));
}

/** chmod(2). */
export function changePathMode(path: string, mode: number): number {
  return attempt(() => chmodSync(path, mode));
}

/** 1 if the path itself, not what it links to, is a socket; 0 if it is something else. */
export function isSocketPath(path: string): number {
  let answer = 0;
  const n = attempt(() => {
    answer = lstatSync(path).isSocket() ? 1 : 0;
  });
  return n < 0 ? n : answer;
}
