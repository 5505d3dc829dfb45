/** Names in listen addresses become numbers before anything listens: `tcp://localhost:9000` listens on all it means. */

import { isUdp, type ListenAddress, placeOf, withPlace } from '../base/datagram-address.js';
import { resolve } from '../connection/resolve.js';

export async function resolveListen(addresses: readonly ListenAddress[]): Promise<ListenAddress[]> {
  const list: ListenAddress[] = [];
  for (const address of addresses) {
    if (address.kind === 'tcp' || address.kind === 'tcp4' || address.kind === 'tcp6') {
      list.push(...(await resolve(address, undefined)));
    } else if (isUdp(address)) {
      const places = await resolve(placeOf(address), undefined);
      list.push(...places.map((place) => withPlace(address, place)));
    } else {
      list.push(address);
    }
  }
  return list;
}
