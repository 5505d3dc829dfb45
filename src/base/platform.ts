/** On which systems the library runs, and what to do on the others: for errors and for `millrace doctor`. */

/** Why none of our drivers can run here, as a sentence without a full stop; undefined where one can. */
export function platformProblem(platform: string, arch: string): string | undefined {
  if (platform !== 'linux') {
    return `millrace runs on Linux (epoll, io_uring); this is ${platform}, for which there is no driver`;
  }
  if (arch !== 'x64' && arch !== 'arm64') {
    return `millrace runs on x64 and arm64 processors; this is ${arch}`;
  }
  return undefined;
}

/** What to do about it. */
export function platformRemedy(platform: string): string {
  switch (platform) {
    case 'win32':
      return 'use WSL 2 (wsl --install), or a Linux container or virtual machine';
    case 'linux':
      return 'use a machine or container image for x64 or arm64';
    default:
      return 'use a Linux container or virtual machine';
  }
}
