/** Who is at the other end of a Unix connection, as the kernel noted when it was made (SO_PEERCRED, unix(7)). */

import type { Kernel } from '../../base/kernel.js';
import { UCRED_GID, UCRED_PID, UCRED_SIZE, UCRED_UID } from '../../base/layout.js';
import { SO_PEERCRED, SOL_SOCKET } from '../../base/linux.js';
import type { PeerCredentials } from '../../datagrams.js';

/** Undefined where the system does not tell. */
export function peerCredentials(kernel: Kernel, fd: number): PeerCredentials | undefined {
  const bytes = new Uint8Array(UCRED_SIZE);
  if (kernel.getSocketOption(fd, SOL_SOCKET, SO_PEERCRED, bytes) < UCRED_SIZE) {
    return undefined;
  }
  const view = new DataView(bytes.buffer);
  return {
    processId: view.getInt32(UCRED_PID, true),
    userId: view.getUint32(UCRED_UID, true),
    groupId: view.getUint32(UCRED_GID, true),
  };
}
