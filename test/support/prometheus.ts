/** A Prometheus that scrapes what a test tells it to, and what it says of it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../kubernetes/free-ports.ts';
import { prometheusPrograms } from '../prometheus/program.ts';
import { eventually } from './eventually.ts';
import type { Live } from './operator-world.ts';

/** A selector in an expression: `metric{label="value"}`. */
export interface Selector {
  readonly metric: string;
  /** Names of the labels it asks for. */
  readonly labels: readonly string[];
}

export class Prometheus {
  readonly #url: string;
  readonly #child: ChildProcess;
  readonly #output: string[] = [];

  constructor(url: string, child: ChildProcess) {
    this.#url = url;
    this.#child = child;
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => this.#output.push(chunk.toString()));
  }

  /** `data` of its answer; throws its error. */
  async api(path: string, query: Record<string, string> = {}): Promise<Live> {
    const response = await fetch(`${this.#url}/api/v1/${path}?${new URLSearchParams(query)}`);
    const answer = (await response.json()) as { status: string; data: Live; error?: string };
    if (answer.status !== 'success') throw new Error(`${JSON.stringify(query)}: ${answer.error}`);
    return answer.data;
  }

  /** What an expression is now: label sets and values. */
  async query(expression: string): Promise<{ labels: Record<string, string>; value: number }[]> {
    const { result } = await this.api('query', { query: expression });
    return result.map(({ metric, value }: Live) => ({ labels: metric, value: Number(value[1]) }));
  }

  /** The selectors of an expression as Prometheus parses it; throws when it does not parse. */
  async selectors(expression: string): Promise<Selector[]> {
    return selectorsIn(await this.api('parse_query', { query: expression }));
  }

  /** Names of the labels by which an expression groups or matches. */
  async groupings(expression: string): Promise<string[]> {
    return groupingsIn(await this.api('parse_query', { query: expression }));
  }

  /** Alerts that are pending or firing, by name: their labels. */
  async alerts(state: 'pending' | 'firing' = 'firing'): Promise<Map<string, Record<string, string>[]>> {
    const { alerts } = await this.api('alerts');
    const found = alerts.filter((alert: Live) => alert.state === state);
    return Map.groupBy(
      found.map(({ labels }: Live) => labels),
      ({ alertname = '' }: Record<string, string>) => alertname,
    );
  }

  log(): string {
    return this.#output.join('');
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await ended;
  }
}

/** Starts one below `folder` with this configuration; whoever starts it ends it. */
export async function startPrometheus(folder: string, configuration: object): Promise<Prometheus> {
  const { prometheus } = await prometheusPrograms();
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'prometheus.json');
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(configuration));
  const address = `127.0.0.1:${await freePort()}`;
  const args = [
    `--config.file=${file}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=${address}`,
    '--log.level=warn',
  ];
  // Ends with us, even when the test run is killed.
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', '--', prometheus, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const started = new Prometheus(`http://${address}`, child);
  await eventually(
    async () => {
      if (!(await fetch(`http://${address}/-/ready`)).ok) throw new Error(started.log());
    },
    { message: 'Prometheus did not become ready' },
  );
  return started;
}

function selectorsIn(node: Live): Selector[] {
  if (node === null || typeof node !== 'object') return [];
  if (Array.isArray(node)) return node.flatMap(selectorsIn);
  const inside = Object.values(node).flatMap(selectorsIn);
  if (node.type !== 'vectorSelector' && node.type !== 'matrixSelector') return inside;
  const labels = node.matchers.map(({ name }: Live) => name).filter((name: string) => name !== '__name__');
  return [{ metric: node.name, labels }, ...inside];
}

function groupingsIn(node: Live): string[] {
  if (node === null || typeof node !== 'object') return [];
  if (Array.isArray(node)) return node.flatMap(groupingsIn);
  const own = node.type === 'aggregation' ? node.grouping : (node.matching?.labels ?? []);
  return [...own, ...Object.values(node).flatMap(groupingsIn)];
}
