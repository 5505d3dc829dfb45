/** The ways of writing that handlers/echo.ts knows: a peer names one by its index, in the first byte it sends. */

export const METHODS = [
  'write',
  'writev',
  'writeOwned',
  'corked',
  'writer',
  'later',
  'reactor.write',
  'report',
] as const;

export type Method = (typeof METHODS)[number];
