/**
 * Where things are, seen from the compiled benchmark in .build/bench. Everything is absolute, so that the
 * benchmark may be started from anywhere.
 */
import { fileURLToPath } from 'node:url';

export const ROOT_DIRECTORY = fileURLToPath(new URL('../..', import.meta.url));
export const NATIVE_SOURCE_DIRECTORY = fileURLToPath(
  new URL('../../bench/native', import.meta.url),
);
export const NATIVE_BUILD_DIRECTORY = fileURLToPath(new URL('../native', import.meta.url));
export const PEERS_DIRECTORY = fileURLToPath(new URL('../../bench/peers', import.meta.url));
export const RESULTS_DIRECTORY = fileURLToPath(new URL('../../bench/results', import.meta.url));
