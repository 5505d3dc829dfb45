/** Pieces of a response's body, memory or files, when there is room for them. */

import type { BodyInput, FileInput } from './body-input.js';
import type { Exchange } from './exchange.js';
import type { HttpResponse } from './response.js';

/** See HttpResponse.writeAll. */
export async function sendPiece(response: HttpResponse, piece: BodyInput): Promise<boolean> {
  for (;;) {
    const result = response.write(piece);
    if (result === 'sent') {
      return true;
    }
    if (result === 'closed' || !(await response.drained())) {
      return false;
    }
    if (result === 'queued') {
      return true;
    }
  }
}

/** Resolves when the system has all of it: true, or false if the client is gone. */
export async function sendFilePart(
  http: Exchange,
  response: HttpResponse,
  { file, offset, byteLength }: { file: FileInput; offset: number; byteLength: number },
): Promise<boolean> {
  for (;;) {
    let tell: (isSent: boolean) => void = () => {};
    const told = new Promise<boolean>((resolve) => {
      tell = resolve;
    });
    const result = http.writeFile(file, offset, byteLength, tell);
    if (result !== 'full') {
      return result === 'closed' ? false : told;
    }
    if (!(await http.drained()) || !http.isAnswering(response)) {
      return false;
    }
  }
}
