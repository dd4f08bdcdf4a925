/** Sends one body again and again over kept connections, each at its own pace; a process of its own. Prints one `LoadResult` as JSON. */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { cpuSecondsOf } from '../process-usage.ts';
import { percentile } from './figures.ts';
import { ReviewConnection } from './review-connection.ts';

/** The only argument, as JSON. */
export interface LoadRequest {
  readonly port: number;
  readonly path: string;
  readonly caFile: string;
  readonly bodyFile: string;
  readonly connections: number;
  readonly seconds: number;
  /** Whose processor time is counted. */
  readonly pid: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly cpuMsPerRequest: number;
  /** One of the answers. */
  readonly answer: string;
}

const warmUpSeconds = 1;

if (import.meta.main) {
  const request = JSON.parse(process.argv[2] ?? '') as LoadRequest;
  process.stdout.write(`${JSON.stringify(await measure(request))}\n`);
}

async function measure({
  port,
  path,
  caFile,
  bodyFile,
  connections,
  seconds,
  pid,
}: LoadRequest): Promise<LoadResult> {
  const ca = readFileSync(caFile);
  const body = readFileSync(bodyFile);
  const opened = await Promise.all(
    Array.from({ length: connections }, () => ReviewConnection.open({ port, path, ca, body })),
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
  const [started, cpuBefore] = [performance.now(), await cpuSecondsOf(pid)];
  await Promise.race([all, delay(seconds * 1000)]);
  const requests = latencies.length;
  const took = (performance.now() - started) / 1000;
  const cpu = (await cpuSecondsOf(pid)) - cpuBefore;
  isOver = true;
  await all;
  const sorted = latencies.slice(0, requests).sort((a, b) => a - b);
  return {
    requests,
    perSecond: requests / took,
    p50: percentile(sorted, 50),
    p99: percentile(sorted, 99),
    cpuMsPerRequest: (cpu * 1000) / requests,
    answer,
  };
}
