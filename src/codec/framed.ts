/**
 * `framed(codec, hooks)`: a handler whose hooks get messages instead of bytes. The one file that joins the decoder to
 * connections. It is a handler like any other: under `serve`, `dial`, TLS, the PROXY protocol.
 */

import type { Action, CloseReason, Connection, Handler, Reactor } from '../api.js';
import { setDataAt } from '../hooks.js';
import type { Codec } from './codec.js';
import type { FrameError } from './frame-error.js';
import { type FramedConnection, FramedSocket } from './framed-connection.js';
import { FramedLayer, type FrameStats } from './framed-layer.js';

/** The hooks of a handler of frames; those with the names of `Handler`'s mean the same. */
export interface FramedHooks<In, Out, Context = unknown> {
  onBoot?(reactor: Reactor): void | Promise<void>;
  onShutdown?(reactor: Reactor): void | Promise<void>;
  onOpen?(connection: FramedConnection<Out, Context>): Action | void;
  /** A frame. What it has of borrowed bytes is valid until the hook returns: copy what you keep. */
  onFrame(connection: FramedConnection<Out, Context>, frame: In): Action | void;
  /**
   * A frame cannot be had. `skip` goes on without it, but for `ERR_FRAME_CORRUPT`. Otherwise, and without this hook,
   * the connection is closed gracefully: what was sent before, and from within this hook, still arrives.
   */
  onFrameError?(
    connection: FramedConnection<Out, Context>,
    error: FrameError,
  ): 'skip' | 'close' | void;
  onDrain?(connection: FramedConnection<Out, Context>): Action | void;
  onEnd?(connection: FramedConnection<Out, Context>): Action | void;
  /** After a bad frame the reason is `error`, with the FrameError. */
  onClose?(connection: FramedConnection<Out, Context>, reason: CloseReason): Action | void;
  onTick?(reactor: Reactor): number | Action | void;
  onBeforeWrite?(connection: FramedConnection<Out, Context>): void;
  onMessage?(reactor: Reactor, bytes: Buffer, from: number): void;
  tasks?: NonNullable<Handler['tasks']>;
}

export interface FramedHandler<Out, Context = unknown> extends Handler {
  /** The framed side of a connection that this handler serves, such as one from `dial`. */
  of(connection: Connection): FramedConnection<Out, Context>;
  /** What was counted on this thread. From another thread: `server.execute(index, 'frameStats')`. */
  readonly frameStats: Readonly<FrameStats>;
}

/**
 * A handler of frames. One serves any number of connections; with several reactors, call it in the handler module.
 *
 * @throws TypeError for hooks without `onFrame`, or what is no codec.
 */
export function framed<In, Out, Context = unknown>(
  codec: Codec<In, Out>,
  hooks: FramedHooks<In, Out, Context>,
): FramedHandler<Out, Context> {
  if (typeof codec?.framing?.find !== 'function' || typeof codec.decode !== 'function') {
    throw new TypeError('Expected a codec, such as lengthField() or lines()');
  }
  if (typeof hooks?.onFrame !== 'function') {
    throw new TypeError('Expected hooks with onFrame');
  }
  const layer = new FramedLayer(codec, hooks);
  const handler: FramedHandler<Out, Context> = {
    onOpen(connection) {
      const socket = layer.socketOf(connection);
      return hooks.onOpen?.(socket);
    },
    onData(connection, bytes) {
      return layer.receive(layer.socketOf(connection), bytes, 0, bytes.length);
    },
    onEnd(connection) {
      const socket = layer.socketOf(connection);
      layer.end(socket);
      return hooks.onEnd?.(socket);
    },
    onClose(connection, reason) {
      const socket = layer.socketOf(connection);
      socket.decoder?.forget();
      socket.decoder = undefined;
      return hooks.onClose?.(socket, socket.reasonOf(reason));
    },
    tasks: { ...hooks.tasks, frameStats: () => ({ ...layer.stats }) },
    of(connection) {
      if (!(connection.context instanceof FramedSocket) || connection.context.layer !== layer) {
        throw new TypeError('This connection is not served by this handler');
      }
      return connection.context;
    },
    get frameStats() {
      return layer.stats;
    },
  };
  setDataAt(handler.onData!, (connection, memory, start, end) =>
    layer.receive(layer.socketOf(connection), memory, start, end),
  );
  addOptionalHooks(handler, layer);
  return handler;
}

/** Only those that there are, as their presence costs. */
function addOptionalHooks<In, Out, Context>(
  handler: Handler,
  layer: FramedLayer<In, Out, Context>,
): void {
  const { hooks } = layer;
  if (hooks.onDrain !== undefined) {
    handler.onDrain = (connection) => hooks.onDrain!(layer.socketOf(connection));
  }
  if (hooks.onBeforeWrite !== undefined) {
    handler.onBeforeWrite = (connection) => hooks.onBeforeWrite!(layer.socketOf(connection));
  }
  if (hooks.onBoot !== undefined) {
    handler.onBoot = (reactor) => hooks.onBoot!(reactor);
  }
  if (hooks.onShutdown !== undefined) {
    handler.onShutdown = (reactor) => hooks.onShutdown!(reactor);
  }
  if (hooks.onTick !== undefined) {
    handler.onTick = (reactor) => hooks.onTick!(reactor);
  }
  if (hooks.onMessage !== undefined) {
    handler.onMessage = (reactor, bytes, from) => hooks.onMessage!(reactor, bytes, from);
  }
}
