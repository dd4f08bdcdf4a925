/** The demo's upstream: a registry of its own, or the one that UPSTREAM names. */
import { readdirSync, readFileSync } from 'node:fs';
import { get } from 'node:http';
import { dirname, join } from 'node:path';
import { makeImage } from '../../test/support/images.ts';
import { pushImage, startRegistry } from '../../test/support/registry.ts';

/** What the upstream has been asked for since it began. */
export interface Seen {
  readonly requests: number;
  readonly bytes: number;
  /** Sum of the time its answers took; undefined where nobody tells. */
  readonly seconds?: number;
}

export interface DemoUpstream {
  readonly host: string;
  readonly repository: string;
  readonly tag: string;
  readonly caFile?: string;
  /** Who counts. */
  readonly countedBy: string;
  readonly seen: () => Promise<Seen>;
  /** Makes it unreachable for the mirror; returns how. */
  readonly stop: () => Promise<string>;
  readonly end: () => Promise<void>;
}

/** Three layers, 40 MB in all: the first alone is three slices. */
const layerSizes = [24_000_000, 12_000_000, 4_000_000];

/** Starts docker-registry below `dir` with TLS and pushes an image made on the spot. It counts by its own access log. */
export async function ownUpstream(dir: string): Promise<DemoUpstream> {
  const registry = await startRegistry(join(dir, 'registry'));
  const [repository, tag] = ['library/demo', '1'];
  await pushImage(registry, repository, makeImage({ tag, seed: 'demo', layerSizes }));
  return {
    host: registry.host,
    repository,
    tag,
    caFile: registry.authority.file,
    countedBy: "the registry's access log",
    seen: async () => sumOf(readFileSync(registry.logFile, 'utf8')),
    stop: async () => {
      await registry.stop();
      return 'the registry process was killed';
    },
    end: registry.stop,
  };
}

/**
 * A registry somewhere else. Its requests are counted by the broker, and it is "stopped" by halting the broker: no other
 * process talks to it.
 */
export function foreignUpstream(options: {
  host: string;
  image: string;
  caFile?: string;
  brokerSocket: string;
}): DemoUpstream {
  const { host, image, caFile, brokerSocket } = options;
  let halted: { readonly pids: readonly number[]; readonly seen: Seen } | undefined;
  const [repository = '', tag = 'latest'] = image.split(/:(?=[^/]*$)/);
  return {
    host,
    repository,
    tag,
    ...(caFile !== undefined && { caFile }),
    countedBy: 'the broker (the upstream is not ours to ask)',
    seen: async () => halted?.seen ?? (await counters(brokerSocket)),
    stop: async () => {
      halted = { pids: brokersOf(brokerSocket), seen: await counters(brokerSocket) };
      for (const pid of halted.pids) process.kill(pid, 'SIGSTOP');
      return 'the upstream cannot be stopped from here: the broker, which alone talks to it, was halted (SIGSTOP)';
    },
    end: async () => {
      for (const pid of halted?.pids ?? []) process.kill(pid, 'SIGCONT');
      halted = undefined;
    },
  };
}

/** The processes that were started with the configuration beside the socket: who talks to the upstream, and who watches over that. */
function brokersOf(brokerSocket: string): number[] {
  const data = dirname(dirname(brokerSocket));
  const isBroker = (words: readonly string[]) =>
    words.includes('broker') && words.some((word) => word.startsWith(data));
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isBroker(commandOf(name)));
  if (pids.length === 0) throw new Error('The broker of the mirror was not found');
  return pids.map(Number);
}

function commandOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return []; // It ended meanwhile.
  }
}

/** Sums docker-registry's own lines; GET and HEAD only, as pushing is none of the mirror's work. */
function sumOf(log: string): Seen {
  const lines = log.split('\n').filter((line) => line.includes('"response completed"'));
  const answers = lines
    .map((line) => JSON.parse(line) as Record<string, string | number>)
    .filter((line) => line['http.request.method'] === 'GET' || line['http.request.method'] === 'HEAD');
  return {
    requests: answers.length,
    bytes: answers.reduce((sum, line) => sum + Number(line['http.response.written']), 0),
    seconds: answers.reduce((sum, line) => sum + goSeconds(String(line['http.response.duration'])), 0),
  };
}

/** Go's `1m2.5s`, `10.8ms`, `120µs`. */
function goSeconds(text: string): number {
  const units: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1, ms: 1e-3, µs: 1e-6, ns: 1e-9 };
  const parts = [...text.matchAll(/([0-9.]+)(h|ms|m|s|µs|ns)/g)];
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (units[unit ?? ''] ?? 0), 0);
}

async function counters(socketPath: string): Promise<Seen> {
  const text = await new Promise<string>((resolve, reject) => {
    get({ socketPath, path: '/-/status', agent: false }, async (response) => {
      resolve(Buffer.concat(await response.toArray()).toString());
    }).on('error', reject);
  });
  const { mirrors } = JSON.parse(text) as { mirrors: { counters: Seen }[] };
  const { requests = 0, bytes = 0 } = mirrors[0]?.counters ?? {};
  return { requests, bytes };
}
