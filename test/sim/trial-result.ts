/** What a trial tells of itself when it passed. */

export interface TrialResult {
  readonly hash: string;
  /** What was tried: a handler's kind, or a scenario. */
  readonly kind: string;
  readonly steps: number;
  readonly connections: number;
  readonly faults: Readonly<Record<string, number>>;
}
