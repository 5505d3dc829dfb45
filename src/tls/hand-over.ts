/**
 * Another handler takes a connection over (see connection/hand-over.ts). The connection stays the same object, with the
 * options that it has; what is counted goes on being counted where it was.
 */

import type { Handler } from '../api.js';
import { CLOSING, GONE, OPENED } from './connection-flags.js';
import { Layer } from './layer.js';
import { recall } from './pause.js';
import type { TlsConnection } from './tls-connection.js';

/** By the layer that a connection had, and the new handler: most have the same. */
const layers = new WeakMap<Layer, WeakMap<Handler, Layer>>();

/** Layers of connections that were handed over. */
const taken = new WeakSet<Layer>();

/** Undefined when it is closed or being closed. Throws TypeError for what cannot be handed over. */
export function handOver(c: TlsConnection, handler: Handler): TlsConnection | undefined {
  if ((c.flags & (CLOSING | GONE)) !== 0) {
    return undefined;
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
  c.layer = layerFor(c.layer, handler);
  if ((c.reading?.length ?? 0) > 0) {
    recall(c);
  }
  return c;
}

function layerFor(old: Layer, handler: Handler): Layer {
  let byHandler = layers.get(old);
  if (byHandler === undefined) {
    byHandler = new WeakMap();
    layers.set(old, byHandler);
  }
  let layer = byHandler.get(handler);
  if (layer === undefined) {
    layer = new Layer(handler, undefined, old.stats);
    taken.add(layer);
    byHandler.set(handler, layer);
  }
  return layer;
}
