/** One scenario, one contender: the cache made cold or warm, the upstream put into its state, all clients at once. */
import { setTimeout as delay } from 'node:timers/promises';
import { cpuSecondsOfTree } from '../process-usage.ts';
import { pull } from './clients.ts';
import type { Contender } from './contenders.ts';
import { type Measurement, measurementOf } from './figures.ts';
import type { StoredObject } from './objects.ts';
import { type Scenario, tagTtlSeconds } from './scenarios.ts';
import type { Upstream } from './upstream.ts';

export interface Stand {
  readonly upstream: Upstream;
  readonly caFile: string;
  /** In memory, for what clients keep. */
  readonly dir: string;
  readonly signal: AbortSignal;
}

/** Measures once; afterwards the upstream is up and has nothing more to send. */
export async function measure(
  stand: Stand,
  {
    round,
    scenario,
    contender,
    object,
  }: {
    round: number;
    scenario: Scenario;
    contender: Contender;
    object: StoredObject;
  },
): Promise<Measurement> {
  const { upstream, caFile, dir, signal } = stand;
  const base = { object, endpoints: contender.endpoints, caFile, dir, signal };
  const warming = scenario.warm ? await pull({ ...base, clients: contender.endpoints.length }) : undefined;
  await upstream.use();
  // A copy that still counts would be no proof that one serves when it can not be asked for.
  if (scenario.upstream === 'down' || scenario.upstream === 'rateLimited')
    await delay((tagTtlSeconds + 0.5) * 1000, undefined, { signal });
  const restore = await upstream.become(scenario.upstream);
  const before = await cpu(contender, upstream);
  const { clients, range } = scenario;
  const pulled = await pull({ ...base, clients, ...(range && { range }) });
  const use = await upstream.use();
  const after = await cpu(contender, upstream);
  await restore();
  return measurementOf(
    { round, scenario: scenario.name, contender: contender.name },
    {
      pulled: { ...pulled, failures: [...(warming?.failures ?? []), ...pulled.failures] },
      upstream: use,
      objectBytes: object.parts.reduce((sum, { bytes, whole }) => sum + (whole?.bytes ?? bytes), 0),
      cpu: {
        contender: after.contender - before.contender,
        miss: after.miss - before.miss,
        upstream: after.upstream - before.upstream,
      },
    },
  );
}

async function cpu({ pids }: Contender, upstream: Upstream) {
  const [contender, miss] = await Promise.all([sum(pids.all), sum(pids.miss)]);
  return { contender, miss, upstream: upstream.pid === 0 ? 0 : await cpuSecondsOfTree(upstream.pid) };
}

async function sum(pids: readonly number[]): Promise<number> {
  const seconds = await Promise.all(pids.map(cpuSecondsOfTree));
  return seconds.reduce((total, one) => total + one, 0);
}
