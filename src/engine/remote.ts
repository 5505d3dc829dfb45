/**
 * A server's connections and reactors as seen from a thread that is none of them: `server.remoteHandle()` is sent there
 * by postMessage, `remote(handle)` makes it usable.
 */

import type { RemoteHandle } from '../api.js';
import { Mailbox } from '../connection/mailbox.js';
import { Postbox, PostOffice } from './mail.js';
import { threadKernel } from './thread-kernel.js';

export interface Remote {
  readonly reactorCount: number;
  /** `queued`: on its way; whether the connection still exists shows there. */
  write(id: number, bytes: Uint8Array): 'queued' | 'full' | 'closed';
  /** As `Server.send`; `queued`: on its way, and dropped there if the session is gone. */
  send(
    id: number,
    data: Uint8Array | string,
    to?: string,
  ): 'queued' | 'full' | 'too-long' | 'closed';
  /** A message for the handler's onMessage, from -1. False when the mailbox is full or the server has closed. */
  post(index: number, bytes: Uint8Array): boolean;
  broadcast(bytes: Uint8Array): boolean;
}

export function remote(handle: RemoteHandle): Remote {
  const kernel = threadKernel();
  const mailboxes = handle.mailboxes.map((buffer) => Mailbox.from(buffer));
  const boxes = mailboxes.map((mailbox, i) => {
    const pending = new Int32Array(handle.pending, i * 4, 1);
    return new Postbox(kernel, mailbox, handle.wakeDescriptors[i], pending);
  });
  const office = new PostOffice(boxes, -1);
  /** The mailboxes of a server that has closed take nothing any more. */
  function unlessClosed<Result extends string>(result: Result): Result | 'closed' {
    return result === 'full' && mailboxes.every(({ isClosed }) => isClosed) ? 'closed' : result;
  }
  return {
    reactorCount: office.count,
    write: (id, bytes) => unlessClosed(office.write(id, bytes)),
    send: (id, data, to) => unlessClosed(office.send(id, data, to)),
    post: (index, bytes) => office.post(index, bytes),
    broadcast: (bytes) => office.broadcast(bytes),
  };
}
