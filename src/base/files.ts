/** File operations of Node's as the kernel contract wants them: 0 or -errno. */

/** A file operation of Node as `0` or `-errno`. */
export function attempt(operation: () => void): number {
  try {
    operation();
    return 0;
  } catch (error) {
    const number = (error as NodeJS.ErrnoException).errno;
    if (typeof number !== 'number' || number === 0) {
      throw error;
    }
    return number < 0 ? number : -number;
  }
}
