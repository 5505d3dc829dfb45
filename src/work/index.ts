/** `millrace/work`: heavy work in other threads, answers in order. Everything public is named here. */

export type { Answer, WorkConnection } from './line.js';
export type { TaskPool, WorkQueueOptions, WorkStats } from './options.js';
export { type OnAnswer, WorkQueue } from './work-queue.js';
