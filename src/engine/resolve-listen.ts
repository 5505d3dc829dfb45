/** Names in listen addresses become numbers before anything listens: `tcp://localhost:9000` listens on all it means. */

import type { Address } from '../base/address.js';
import { resolve } from '../connection/resolve.js';

export async function resolveListen(addresses: readonly Address[]): Promise<Address[]> {
  const list: Address[] = [];
  for (const address of addresses) {
    if (address.kind === 'tcp' || address.kind === 'tcp4' || address.kind === 'tcp6') {
      list.push(...(await resolve(address, undefined)));
    } else {
      list.push(address);
    }
  }
  return list;
}
