/** curl's command files for many transfers at once, and what it prints about them. Pure. */

/** One request of one client. */
export interface Transfer {
  readonly url: string;
  /** Where the bytes go. */
  readonly file: string;
}

/** What came of one transfer; times in seconds since it began, connecting included. */
export interface Transferred {
  readonly url: string;
  readonly status: number;
  readonly exitCode: number;
  readonly bytes: number;
  readonly firstByteSeconds: number;
  readonly seconds: number;
}

const written = ['http_code', 'exitcode', 'size_download', 'time_starttransfer', 'time_total', 'url'];

/** The file for `curl --config`: all transfers at once, each on a connection of its own, over verified TLS. */
export function curlConfig(
  transfers: readonly Transfer[],
  options: { caFile: string; range?: { start: number; end: number }; accept: string },
): string {
  const lines = [
    'silent',
    'no-progress-meter',
    'http1.1',
    'parallel',
    'parallel-immediate',
    `parallel-max = ${transfers.length}`,
    'max-time = 240',
    `cacert = "${options.caFile}"`,
    `header = "Accept: ${options.accept}"`,
    `write-out = "${written.map((name) => `%{${name}}`).join(' ')}\\n"`,
    ...(options.range ? [`range = ${options.range.start}-${options.range.end}`] : []),
    ...transfers.flatMap(({ url, file }) => [`url = "${url}"`, `output = "${file}"`]),
  ];
  return `${lines.join('\n')}\n`;
}

/** Parses what `curlConfig` makes curl print; throws on a line that is something else. */
export function parseTransferred(output: string): Transferred[] {
  return output
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [status, exitCode, bytes, firstByteSeconds, seconds, url, more] = line.split(' ');
      if (url === undefined || more !== undefined || Number.isNaN(Number(seconds))) {
        throw new Error(`Not what curl was told to print: ${line}`);
      }
      return {
        url,
        status: Number(status),
        exitCode: Number(exitCode),
        bytes: Number(bytes),
        firstByteSeconds: Number(firstByteSeconds),
        seconds: Number(seconds),
      };
    });
}

/** Processor seconds of all children, in the second line of what the shell's `times` prints: `0m1.250s 0m0.310s`. */
export function parseTimes(output: string): number {
  const times = output.trim().split('\n').at(-1) ?? '';
  const parts = [...times.matchAll(/(\d+)m([\d.]+)s/g)];
  if (parts.length !== 2) throw new Error(`Not what times prints: ${times}`);
  return parts.reduce((sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds), 0);
}
