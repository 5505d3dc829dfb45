/** Waiting for what has to happen, as often as it takes; only a hang ends it, with the name of what did not happen. */

/** Far above anything that a loaded machine needs, and below the test runner's own limit. */
export const HANG_MS = 30_000;

/** Resolves when `condition` holds. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = Date.now() + HANG_MS;
  while (!condition()) {
    if (Date.now() > deadline) {
      throw new Error(`It did not happen within ${HANG_MS} ms: ${what}`);
    }
    await pauseFor(1);
  }
}

/** The same for a condition that has to be asked for, such as with `server.execute`. */
export async function untilAnswer<T>(
  what: string,
  ask: () => Promise<T>,
  isRight: (answer: T) => boolean,
): Promise<T> {
  const deadline = Date.now() + HANG_MS;
  for (;;) {
    const answer = await within(`an answer on whether ${what}`, ask());
    if (isRight(answer)) {
      return answer;
    }
    if (Date.now() > deadline) {
      throw new Error(
        `Not within ${HANG_MS} ms: ${what}; the last answer: ${JSON.stringify(answer)}`,
      );
    }
    await pauseFor(1);
  }
}

/** The promise's outcome, or an error that names it when it takes too long. */
export async function within<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const hang = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Hangs for ${HANG_MS} ms: ${what}`)), HANG_MS);
  });
  try {
    return await Promise.race([promise, hang]);
  } finally {
    clearTimeout(timer);
  }
}

export function pauseFor(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}

/** Lets the host's loop, and with it a reactor in this thread, go round once. */
export function nextRound(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
