/** Bodies as handlers give them. */

/** What `end` and `write` take: a string goes out as UTF-8. */
export type BodyInput = string | Uint8Array;

/** An open file: a descriptor, or what has one, such as a FileHandle. */
export type FileInput = number | { readonly fd: number };

/** Throws TypeError for anything else. */
export function checkBody(body: unknown): void {
  if (typeof body !== 'string' && !(body instanceof Uint8Array)) {
    throw new TypeError(`Expected a body to be a string or a Uint8Array, got ${typeof body}`);
  }
}
