/** What both sides' handlers do with what the transport reports, once there is a TlsConnection. */

import type { Action, CloseReason, Connection, Handler } from '../api.js';
import { closeAs } from './closing.js';
import { GONE, OPENED } from './connection-flags.js';
import type { Layer } from './layer.js';
import { callHook, enter, leave, leaveThrown, reportDrain } from './read-path.js';
import { onTransportClose, onTransportEnd } from './teardown.js';
import type { TlsConnection } from './tls-connection.js';

type TransportHooks = Required<Pick<Handler, 'onDrain' | 'onEnd' | 'onClose' | 'onServerClose'>> &
  Pick<Handler, 'onBeforeWrite' | 'defaults'>;

export function transportHooks(layer: Layer): TransportHooks {
  const { inner } = layer;
  const hooks: TransportHooks = {
    onDrain(base: Connection): Action | void {
      const c = base.context as TlsConnection;
      if ((c.flags & GONE) === 0) {
        reportDrain(c);
      }
      return layer.takeAction();
    },
    onEnd(base: Connection): Action | void {
      onTransportEnd(base.context as TlsConnection);
      return layer.takeAction();
    },
    onClose(base: Connection, reason: CloseReason): Action | void {
      return onTransportClose(base.context as TlsConnection, reason);
    },
    onServerClose(base: Connection): Action | void {
      goAway(base.context as TlsConnection);
      return layer.takeAction();
    },
  };
  if (inner.defaults !== undefined) {
    hooks.defaults = inner.defaults;
  }
  if (inner.onBeforeWrite !== undefined) {
    // Only then, since its presence makes the transport gather all writes of a turn.
    hooks.onBeforeWrite = (base: Connection): void => beforeWrite(base.context as TlsConnection);
  }
  return hooks;
}

/** The server closes: after close_notify, unless the inner handler has something to say or to wait for. */
function goAway(c: TlsConnection): void {
  const { layer } = c;
  if (c.handshake !== undefined) {
    c.base.close();
    return;
  }
  if (layer.onServerClose === undefined || (c.flags & OPENED) === 0 || (c.flags & GONE) !== 0) {
    closeAs(c, 'shutdown');
    return;
  }
  callHook(c, layer.onServerClose);
}

function beforeWrite(c: TlsConnection): void {
  if ((c.flags & GONE) !== 0 || c.handshake !== undefined) {
    return;
  }
  enter(c);
  try {
    c.layer.inner.onBeforeWrite!(c);
  } catch (error) {
    leaveThrown(c);
    throw error;
  }
  leave(c);
}
