/** One message of the user's as one frame, compressed if that was agreed on and is worth it. */

import type { Connection, WriteResult } from '../api.js';
import type { SendOptions } from './api.js';
import type { Compression } from './compression.js';
import type { Side } from './endpoint.js';
import { BINARY, FIN, RSV1, TEXT } from './frame.js';
import { checkMessage, PAYLOAD_MAX, sendFrame, sendText, UTF8_BYTES_A_UNIT } from './send-frame.js';

export interface Sender {
  readonly connection: Connection;
  readonly side: Side;
  readonly compression: Compression | undefined;
  readonly isClient: boolean;
}

export function sendMessage(
  socket: Sender,
  data: string | Uint8Array,
  options: SendOptions | undefined,
): WriteResult {
  const { connection, compression, isClient } = socket;
  const isBinary = options?.isBinary ?? typeof data !== 'string';
  const first = FIN | (isBinary ? BINARY : TEXT);
  let result: WriteResult;
  if (compression !== undefined && options?.compress !== false && isLong(data, compression)) {
    checkMessage('send', data);
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    result =
      bytes.length >= compression.thresholdBytes
        ? sendCompressed(socket, first, bytes)
        : sendFrame(connection, first, bytes, isClient);
  } else if (typeof data === 'string') {
    result = sendText(connection, first, data, isClient);
  } else {
    checkMessage('send', data);
    result = sendFrame(connection, first, data, isClient);
  }
  const { counts } = socket.side.endpoint;
  if (result === 'full') {
    counts.messagesRefused += 1;
  } else if (result !== 'closed') {
    counts.messagesSent += 1;
  }
  return result;
}

/** Whether it may reach the threshold: what surely does not is not encoded to be counted. */
function isLong(data: string | Uint8Array, { thresholdBytes }: Compression): boolean {
  return typeof data !== 'string' || data.length * UTF8_BYTES_A_UNIT >= thresholdBytes;
}

function sendCompressed(socket: Sender, first: number, bytes: Uint8Array): WriteResult {
  const { connection, isClient } = socket;
  const { deflater, keeps } = socket.compression!;
  let packed = deflater.deflate(bytes);
  if (packed.length > PAYLOAD_MAX) {
    // A write may call the user's receipts before it copies, and these may compress.
    packed = Buffer.from(packed);
  }
  if (!keeps && packed.length >= bytes.length) {
    return sendFrame(connection, first, bytes, isClient);
  }
  const result = sendFrame(connection, first | RSV1, packed, isClient);
  if (keeps && result === 'full') {
    // The peer's window does not have this message: no later one may refer to it.
    deflater.forget();
  }
  return result;
}
