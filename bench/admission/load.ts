/** Sends one body again and again over kept connections, each at its own pace; a process of its own. Prints one `LoadResult` as JSON. */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { cpuSecondsOf } from '../process-usage.ts';
import { percentile } from './figures.ts';
import { ReviewConnection } from './review-connection.ts';

/** The only argument, as JSON. */
export interface LoadRequest {
  readonly port: number;
  /** With its query. */
  readonly path: string;
  /** `Name: value` each. */
  readonly headers: readonly string[];
  /** Of every answer. */
  readonly status: number;
  readonly caFile: string;
  readonly bodyFile: string;
  readonly connections: number;
  readonly seconds: number;
  /** Whose processor time is counted, each by itself. */
  readonly pids: readonly number[];
}

export interface LoadResult {
  readonly requests: number;
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** In the order of `pids`. */
  readonly cpuMsPerRequest: readonly number[];
  /** One of the answers. */
  readonly answer: string;
}

const warmUpSeconds = 1;

if (import.meta.main) {
  const request = JSON.parse(process.argv[2] ?? '') as LoadRequest;
  process.stdout.write(`${JSON.stringify(await measure(request))}\n`);
}

async function measure({
  caFile,
  bodyFile,
  connections,
  seconds,
  pids,
  ...target
}: LoadRequest): Promise<LoadResult> {
  const ca = readFileSync(caFile);
  const body = readFileSync(bodyFile);
  const opened = await Promise.all(
    Array.from({ length: connections }, () => ReviewConnection.open({ ...target, ca, body })),
  );
  let latencies: number[] = [];
  let answer = '';
  let isOver = false;
  const running = opened.map(async (connection) => {
    while (!isOver) {
      const started = performance.now();
      answer = await connection.send();
      latencies.push(performance.now() - started);
    }
    connection.close();
  });
  const all = Promise.all(running);
  await Promise.race([all, delay(warmUpSeconds * 1000)]);
  latencies = [];
  const [started, cpuBefore] = [performance.now(), await Promise.all(pids.map(cpuSecondsOf))];
  await Promise.race([all, delay(seconds * 1000)]);
  const requests = latencies.length;
  const took = (performance.now() - started) / 1000;
  const cpuAfter = await Promise.all(pids.map(cpuSecondsOf));
  isOver = true;
  await all;
  const sorted = latencies.slice(0, requests).sort((a, b) => a - b);
  return {
    requests,
    perSecond: requests / took,
    p50: percentile(sorted, 50),
    p99: percentile(sorted, 99),
    cpuMsPerRequest: cpuAfter.map((after, index) => ((after - (cpuBefore[index] ?? 0)) * 1000) / requests),
    answer,
  };
}
