/**
 * Another handler takes a connection over (see connection/hand-over.ts). The connection stays the same object, with the
 * options that it has; what is counted goes on being counted where it was.
 */

import type { Action, CloseReason, Connection, ConnectionOptions, Handler } from '../api.js';
import { SocketConnection } from '../connection/connection.js';
import { checkHandler, Profile } from '../connection/profile.js';
import { CLOSING, END_OWED, GONE, OPENED, PAUSED, PEER_ENDED } from './connection-flags.js';
import { Layer } from './layer.js';
import type { Limits } from './limits.js';
import { clearPause, recall } from './pause.js';
import { rareOf } from './rare.js';
import { callHook, keep, readerOf } from './read-path.js';
import type { TlsConnection } from './tls-connection.js';

/** By the layer that a connection had, and the new handler: most have the same. */
const layers = new WeakMap<Layer, WeakMap<Handler, Layer>>();

const NO_DEFAULTS: ConnectionOptions = {};

/** Of transports, by the profile that they had and the defaults of the new handler. */
const profiles = new WeakMap<Profile, WeakMap<ConnectionOptions, Profile>>();

/** Layers of connections that were taken over. */
const taken = new WeakSet<Layer>();

/** The same, of layers for `Connection.handOver`. */
const successors = new WeakMap<Layer, WeakMap<Handler, Layer>>();

/** Undefined when it is closed or being closed. Throws TypeError for what cannot be handed over. */
export function handOver(c: TlsConnection, handler: Handler): TlsConnection | undefined {
  if (!mayHandOver(c)) {
    return undefined;
  }
  const layer = layerFor(layers, c.layer, handler);
  taken.add(layer);
  c.layer = layer;
  if ((c.reading?.length ?? 0) > 0) {
    recall(c);
  }
  return c;
}

/** See Connection.handOver. */
export function changeHandler(
  c: TlsConnection,
  handler: Handler,
  head: Uint8Array | undefined,
): boolean {
  checkHandler(handler);
  if (!mayHandOver(c)) {
    return false;
  }
  const old = c.layer;
  const layer = layerFor(successors, old, handler);
  if (old.onClose !== undefined && layer.onClose === handler.onClose) {
    Object.assign(layer, { onClose: closeBoth(handler, old) });
  }
  c.layer = layer;
  c.context = undefined;
  c.limits = limitsFor(c, handler);
  keepHead(c, head);
  if ((c.flags & (PEER_ENDED | END_OWED)) === PEER_ENDED) {
    // Only the handler before knows.
    c.flags |= END_OWED;
  }
  clearPause(c, PAUSED);
  if (layer.onOpen !== undefined) {
    open(c, layer.onOpen);
  }
  const hasHook = layer.onData !== undefined || layer.onReadable !== undefined;
  if ((c.flags & END_OWED) !== 0 || (hasHook && (c.reading?.length ?? 0) > 0)) {
    recall(c);
  }
  return true;
}

/** As on any transport: a hook that throws costs its connection, and not who handed it over. */
function open(c: TlsConnection, hook: NonNullable<Layer['onOpen']>): void {
  try {
    callHook(c, hook);
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown : new Error(`A hook threw ${String(thrown)}`);
    rareOf(c).reason = { code: 'handler', error };
    c.base.abort();
    c.base.reactor.execute(() => {
      throw thrown;
    });
  }
}

/** False when it is closed or being closed. */
function mayHandOver(c: TlsConnection): boolean {
  if ((c.flags & (CLOSING | GONE)) !== 0) {
    return false;
  }
  if ((c.flags & OPENED) === 0) {
    throw new TypeError('Cannot take over a TLS connection before its handshake is done');
  }
  if (c.rare?.consumer !== undefined) {
    throw new TypeError('Cannot take over a connection that is iterated over');
  }
  if (taken.has(c.layer)) {
    throw new TypeError('Cannot take over a connection: somebody else has done so');
  }
  return true;
}

/** In front of what is unread. */
function keepHead(c: TlsConnection, head: Uint8Array | undefined): void {
  if (head === undefined || head.length === 0) {
    return;
  }
  const reader = readerOf(c);
  // In a hook of the pull style it shows what was received and is not kept yet.
  reader.settle();
  const rest = reader.length > 0 ? reader.readCopy(reader.length) : undefined;
  keep(c, Buffer.from(head.buffer, head.byteOffset, head.length));
  if (rest !== undefined) {
    keep(c, rest);
  }
}

/** The handler's defaults hold in place of those of the handler before, for the transport too. */
function limitsFor({ base, limits }: TlsConnection, { defaults }: Handler): Limits {
  if (!(base instanceof SocketConnection)) {
    return { ...limits, allowHalfOpen: defaults?.allowHalfOpen ?? false };
  }
  const old = base.profile;
  if (old.defaults !== defaults) {
    base.profile = withDefaults(old, defaults ?? NO_DEFAULTS).bind(base.owner);
  }
  return base.profile;
}

function withDefaults(old: Profile, defaults: ConnectionOptions): Profile {
  let byDefaults = profiles.get(old);
  if (byDefaults === undefined) {
    byDefaults = new WeakMap();
    profiles.set(old, byDefaults);
  }
  let profile = byDefaults.get(defaults);
  if (profile === undefined) {
    profile = new Profile(old.handler, old.given, defaults);
    if (profile.onClose !== old.onClose) {
      // The transport was handed over itself: see connection/change-handler.ts.
      Object.assign(profile, { onClose: old.onClose });
    }
    byDefaults.set(defaults, profile);
  }
  return profile;
}

function closeBoth(handler: Handler, old: Layer) {
  return (connection: Connection, reason: CloseReason): Action | void => {
    try {
      return handler.onClose?.(connection, reason);
    } finally {
      old.onClose?.call(old.inner, connection, reason);
    }
  };
}

function layerFor(
  known: WeakMap<Layer, WeakMap<Handler, Layer>>,
  old: Layer,
  handler: Handler,
): Layer {
  let byHandler = known.get(old);
  if (byHandler === undefined) {
    byHandler = new WeakMap();
    known.set(old, byHandler);
  }
  let layer = byHandler.get(handler);
  if (layer === undefined) {
    layer = new Layer(handler, undefined, old);
    byHandler.set(handler, layer);
  }
  return layer;
}
