/** Content negotiation by Accept-Encoding (RFC 9110 12.5.3). No regular expression: the field is a peer's. */

import { isToken } from './grammar.js';

/** Codings that we can send. */
export type Coding = 'br' | 'zstd' | 'gzip';

/**
 * The coding of `offered`, best first, that the client likes most; undefined: send it as it is. Among equally liked
 * ones the order of `offered` decides.
 */
export function negotiateCoding(
  accepted: string | undefined,
  offered: readonly Coding[],
): Coding | undefined {
  if (accepted === undefined || offered.length === 0) {
    return undefined;
  }
  const qualities = readQualities(accepted);
  const others = qualities.get('*') ?? 0;
  let best: Coding | undefined;
  let most = 0;
  for (const coding of offered) {
    // x-gzip is the same (RFC 9110 8.4.1.3).
    const alias = coding === 'gzip' ? qualities.get('x-gzip') : undefined;
    const quality = qualities.get(coding) ?? alias ?? others;
    if (quality > most) {
      most = quality;
      best = coding;
    }
  }
  return most >= (qualities.get('identity') ?? 0) ? best : undefined;
}

function readQualities(accepted: string): Map<string, number> {
  const qualities = new Map<string, number>();
  for (const item of accepted.split(',')) {
    const [name = '', ...parameters] = item.split(';').map((part) => part.trim().toLowerCase());
    if (isToken(name)) {
      qualities.set(name, qualityOf(parameters));
    }
  }
  return qualities;
}

/** `q=0.5`; what is no weight is none. */
function qualityOf(parameters: readonly string[]): number {
  const [parameter] = parameters;
  if (parameter === undefined || parameter === '') {
    return 1;
  }
  const weight = parameter.startsWith('q=') ? parameter.slice(2) : '';
  const quality = Number(weight);
  return weight !== '' && weight.length <= 5 && quality >= 0 && quality <= 1 ? quality : 0;
}
