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
export const SERVERS_DIRECTORY = fileURLToPath(new URL('../../bench/servers', import.meta.url));
export const RESULTS_DIRECTORY = fileURLToPath(new URL('../../bench/results', import.meta.url));
export const GO_SOURCE_DIRECTORY = fileURLToPath(new URL('../../bench/peers/go', import.meta.url));
export const GO_BUILD_DIRECTORY = fileURLToPath(new URL('../go', import.meta.url));
export const PLOTS_DIRECTORY = fileURLToPath(new URL('../../docs/plots', import.meta.url));
