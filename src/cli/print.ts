/** Standard output of commands that may be piped into others. */

/** Writes `text` and returns whether anybody still reads: a reader that has seen enough (`| head`) is no fault. */
export function print(text: string): Promise<boolean> {
  const { stdout } = process;
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException) => (error.code === 'EPIPE' ? resolve(false) : reject(error));
    stdout.once('error', fail);
    stdout.write(text, (error) => {
      // On an error the listener is still needed: it is told of it after this.
      if (error) return;
      stdout.off('error', fail);
      resolve(true);
    });
  });
}
