/**
 * What a peer can do wrong, each with a stable code for logs and tests, the close code that is the answer (RFC 6455
 * section 7.4.1), and one sentence. The sentence is what the peer gets as the reason, and has nothing of its bytes.
 */

import { CloseCode } from './close-code.js';

export interface Violation {
  readonly code: string;
  readonly closeCode: number;
  readonly message: string;
}

function violation(code: string, closeCode: number, message: string): Violation {
  return Object.freeze({ code, closeCode, message });
}

const { PROTOCOL_ERROR, INVALID_PAYLOAD, POLICY_VIOLATION, MESSAGE_TOO_BIG } = CloseCode;

export const VIOLATIONS = {
  RSV: violation('ERR_WS_RSV', PROTOCOL_ERROR, 'a reserved bit is set'),
  OPCODE: violation('ERR_WS_OPCODE', PROTOCOL_ERROR, 'the opcode is reserved'),
  UNMASKED: violation('ERR_WS_UNMASKED', PROTOCOL_ERROR, 'a frame of a client must be masked'),
  MASKED: violation('ERR_WS_MASKED', PROTOCOL_ERROR, 'a frame of a server must not be masked'),
  LENGTH: violation('ERR_WS_LENGTH', PROTOCOL_ERROR, 'the length is not in its shortest form'),
  CONTROL_LENGTH: violation(
    'ERR_WS_CONTROL_LENGTH',
    PROTOCOL_ERROR,
    'a control frame is longer than 125 bytes',
  ),
  CONTROL_FRAGMENT: violation(
    'ERR_WS_CONTROL_FRAGMENT',
    PROTOCOL_ERROR,
    'a control frame is fragmented',
  ),
  CONTINUATION: violation(
    'ERR_WS_CONTINUATION',
    PROTOCOL_ERROR,
    'there is no message to be continued',
  ),
  INTERLEAVED: violation(
    'ERR_WS_INTERLEAVED',
    PROTOCOL_ERROR,
    'a message begins before the last one has ended',
  ),
  CLOSE_LENGTH: violation(
    'ERR_WS_CLOSE_LENGTH',
    PROTOCOL_ERROR,
    'a close frame has one byte of a code',
  ),
  CLOSE_CODE: violation('ERR_WS_CLOSE_CODE', PROTOCOL_ERROR, 'the close code is not a valid one'),
  CLOSE_REASON: violation('ERR_WS_CLOSE_REASON', INVALID_PAYLOAD, 'the close reason is not UTF-8'),
  UTF8: violation('ERR_WS_UTF8', INVALID_PAYLOAD, 'the text is not UTF-8'),
  DEFLATE: violation('ERR_WS_DEFLATE', INVALID_PAYLOAD, 'the compressed data is broken'),
  TOO_BIG: violation('ERR_WS_TOO_BIG', MESSAGE_TOO_BIG, 'the message is too big'),
  DEFLATE_RATIO: violation(
    'ERR_WS_DEFLATE_RATIO',
    MESSAGE_TOO_BIG,
    'the message grows too much when it is inflated',
  ),
  FRAGMENTS: violation('ERR_WS_FRAGMENTS', POLICY_VIOLATION, 'the message has too many fragments'),
} as const;
