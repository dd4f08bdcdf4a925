/** The clients: a few curl processes with many connections each, so that what is measured is not their start. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { curlConfig, parseTimes, parseTransferred, type Transfer, type Transferred } from './curl.ts';
import { mediaTypes, type Part, type StoredObject } from './objects.ts';

/** More would only share the cores with what is measured. */
const processes = 2;

export interface Pull {
  readonly object: StoredObject;
  readonly clients: number;
  readonly range?: { readonly start: number; readonly end: number };
  /** `https://address:port`, taken in turns. */
  readonly endpoints: readonly string[];
  readonly caFile: string;
  /** For command files and the bytes that are checked; in memory, lest a disk be measured. */
  readonly dir: string;
  readonly signal: AbortSignal;
}

export interface Pulled {
  /** From the start of the first client until the last had all bytes. */
  readonly seconds: number;
  /** Processor time of all clients. */
  readonly cpuSeconds: number;
  readonly transfers: readonly Transferred[];
  /** What went wrong: status, length or, of the transfers that are kept, the digest. Empty: nothing. */
  readonly failures: readonly string[];
}

/** All clients at once; the first and the last one's bytes are checked against their digests afterwards. */
export async function pull(options: Pull): Promise<Pulled> {
  const { object, clients, dir } = options;
  const kept = new Map<string, Part>();
  const transfersOf = (client: number): Transfer[] =>
    object.parts.map((part, index) => {
      const endpoint = options.endpoints[client % options.endpoints.length];
      const isKept = client === 0 || client === clients - 1;
      const file = isKept ? join(dir, `kept-${client}-${index}`) : '/dev/null';
      if (isKept) kept.set(file, part);
      return { url: `${endpoint}${part.path}`, file };
    });
  const shares = Array.from({ length: Math.min(processes, clients) }, (_, share) =>
    Array.from({ length: clients }, (_, client) => client)
      .filter((client) => client % processes === share)
      .flatMap(transfersOf),
  );
  const run = await runCurls(shares, options);
  const failures = [...check(run.transfers, shares.flat().length, object), ...(await checkKept(kept))];
  for (const file of kept.keys()) rmSync(file, { force: true });
  return { ...run, failures };
}

async function runCurls(shares: readonly Transfer[][], { dir, caFile, range, signal }: Pull) {
  const accept = `${mediaTypes.manifest}, */*`;
  const commands = shares.map((transfers, index) => {
    const config = join(dir, `curl-${index}`);
    writeFileSync(config, curlConfig(transfers, { caFile, accept, ...(range && { range }) }));
    return `curl --config ${config} > ${config}.out &`;
  });
  const startedAt = performance.now();
  // The second line of `times` is of all children that were waited for.
  const shell = spawn('bash', ['-c', `${commands.join('\n')}\nwait\ntimes`], {
    stdio: ['ignore', 'pipe', 'inherit'],
    signal,
  });
  const [times] = await Promise.all([text(shell.stdout), once(shell, 'close')]);
  const seconds = (performance.now() - startedAt) / 1000;
  const outputs = shares.map((_, index) => createReadStream(join(dir, `curl-${index}.out`)));
  const transfers = (await Promise.all(outputs.map((output) => text(output)))).flatMap(parseTransferred);
  return { seconds, cpuSeconds: parseTimes(times), transfers };
}

function check(transfers: readonly Transferred[], expected: number, { parts }: StoredObject): string[] {
  const missing = expected - transfers.length;
  const failed = transfers.flatMap(({ url, status, exitCode, bytes }) => {
    const part = parts.find(({ path }) => url.endsWith(path));
    // Whoever asks for a part may be given the whole.
    const wanted = status === 200 ? (part?.whole?.bytes ?? part?.bytes) : part?.bytes;
    const isGood = (status === 200 || status === 206) && exitCode === 0 && bytes === wanted;
    return isGood ? [] : [`status ${status}, curl's code ${exitCode}, ${bytes} of ${wanted} bytes`];
  });
  return missing === 0 ? failed : [...failed, `${missing} transfers without a result`];
}

async function checkKept(kept: ReadonlyMap<string, Part>): Promise<string[]> {
  const checks = [...kept].map(async ([file, part]) => {
    const hash = createHash('sha256');
    await pipeline(createReadStream(file), hash).catch(() => {});
    const sha256 = hash.digest('hex');
    return sha256 === part.sha256 || sha256 === part.whole?.sha256
      ? []
      : [`sha256 ${sha256} of ${part.path}`];
  });
  return (await Promise.all(checks)).flat();
}
