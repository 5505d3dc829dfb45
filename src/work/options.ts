/** What a work queue is given, and what it counts. */

/** A pool of threads, such as a `Piscina`: what it answers are promises. */
export interface TaskPool<Task, Value> {
  run(task: Task, options?: { signal?: AbortSignal }): Promise<Value>;
}

export interface WorkQueueOptions {
  /** Tasks that the pool works on at a time. Its `maxThreads`, if it is a piscina; else the number of CPUs. */
  runningMax?: number;
  /** Tasks that wait for the pool. 1,024. */
  waitingMax?: number;
  /** Tasks of one connection that are not answered yet. 64. */
  connectionMax?: number;
  /**
   * Beyond these limits: `refuse` (the default) answers `full`; `pause` pauses the connection, with the last task
   * taken, until half of its tasks are answered.
   */
  whenFull?: 'refuse' | 'pause';
  /** From `submit` to the answer; then the answer is an error, and the task is aborted. 30,000; 0: never. */
  timeoutMs?: number;
  /**
   * A task that runs is aborted, too, when its connection is gone (known by `forget`). Off, since piscina ends the
   * thread of an aborted task: its answer is dropped instead.
   */
  abortRunning?: boolean;
}

/** What was counted since the queue was made. */
export interface WorkStats {
  /** Now. */
  readonly waiting: number;
  readonly running: number;
  readonly submitted: number;
  /** Answers that were given, errors included. */
  readonly answered: number;
  /** Of these: rejections by the pool, timeouts, and aborts by a signal. */
  readonly failed: number;
  readonly timedOut: number;
  readonly aborted: number;
  /** Tasks whose connection was gone before they were answered. */
  readonly dropped: number;
  /** Submissions that got `full`. */
  readonly refused: number;
  /** Times that a connection was paused. */
  readonly pauses: number;
}
