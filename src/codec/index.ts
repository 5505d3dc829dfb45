/** `millrace/codec`: frames out of streams, for handlers of any transport. Everything public is named here. */

export { bytesCodec, type Codec, jsonCodec, mapCodec, textCodec } from './codec.js';
export { type DelimiterOptions, delimited, type LineOptions, lines } from './delimiters.js';
export { fixedLength } from './fixed-length.js';
export { type FrameConsumer, FrameDecoder } from './frame-decoder.js';
export { FrameError, type FrameErrorCode } from './frame-error.js';
export { type FramedHandler, type FramedHooks, framed } from './framed.js';
export type { FramedConnection } from './framed-connection.js';
export type { FrameStats } from './framed-layer.js';
export { Found, FrameBounds, type Framing, Seal, type Terminator } from './framing.js';
export { type LengthFieldOptions, lengthField } from './length-field.js';
export { encodeFrame, sendFrame } from './send-frame.js';
export { type VarintOptions, varintLength } from './varint.js';
