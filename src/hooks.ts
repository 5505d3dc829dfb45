/**
 * Received bytes as positions in larger memory, for handlers of ours that parse: on io_uring, which puts one receive
 * behind the other, a view of each is an object more for each message. What is to be called in place of an `onData`
 * is kept with that very function, so that whoever puts another one in its place, around it or not, sees all bytes.
 */

import type { Action, Connection, Handler } from './api.js';

type OnData = NonNullable<Handler['onData']>;

/** Like `onData`: the bytes lie from `start` to `end` of `memory`, borrowed. The rest is not the connection's. */
export type OnDataAt = (
  connection: Connection,
  memory: Buffer,
  start: number,
  end: number,
) => Action | void;

const AT = Symbol('onDataAt');

/** From now on `onDataAt`, which has to do the same, may be called in place of `onData`, as a method of its handler. */
export function setDataAt(onData: OnData, onDataAt: OnDataAt): void {
  Object.defineProperty(onData, AT, { value: onDataAt });
}

/** What may be called in place of a handler's `onData`. */
export function dataAtOf(onData: Handler['onData']): OnDataAt | undefined {
  return (onData as { readonly [AT]?: OnDataAt } | undefined)?.[AT];
}
