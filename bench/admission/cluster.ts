/** Part `cluster`: a real API server creates pods (dry run) with nobody, the policy, or the webhook to rewrite them, in turns. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ClusterContender, type ClusterMeasurement, clusterContenders } from './cluster-figures.ts';
import { ClusterWorld, podsPath, rewrittenPrefix } from './cluster-world.ts';
import type { LoadRequest } from './load.ts';
import type { Options } from './options.ts';
import { pod, registries } from './pod-review.ts';
import { runLoad } from './run-load.ts';

const connections = 16;
/** All of them run for weeks: what compiles itself in their first seconds is not their pace. */
const warmUpSeconds = 3;

export interface ClusterOptions extends Pick<Options, 'rounds' | 'seconds'> {
  /** For what is written. */
  readonly folder: string;
  readonly progress: (message: string) => void;
  readonly signal: AbortSignal;
}

/** Measures; everything it started has ended when it returns or throws. */
export async function measureCluster(options: ClusterOptions): Promise<ClusterMeasurement[]> {
  const { folder, rounds, progress } = options;
  await writeBodies(folder);
  progress('starting an API server, the operator and the webhook');
  await using world = await ClusterWorld.start(folder);
  for (const contender of clusterContenders) {
    progress(`warming up: ${contender.engine}, pods ${contender.pods}`);
    await world.rewriteBy(contender.engine);
    await load(world, contender, { ...options, seconds: warmUpSeconds });
  }
  const measurements: ClusterMeasurement[] = [];
  for (let round = 1; round <= rounds; round += 1)
    for (const contender of clusterContenders) {
      progress(`round ${round} of ${rounds}: ${contender.engine}, pods ${contender.pods}`);
      await world.rewriteBy(contender.engine);
      measurements.push({ round, ...contender, ...(await load(world, contender, options)) });
    }
  return measurements;
}

async function writeBodies(folder: string): Promise<void> {
  for (const [name, registry] of Object.entries(registries)) {
    const { status: _, ...body } = pod(registry, '');
    await writeFile(join(folder, `pod-${name}.json`), JSON.stringify(body));
  }
}

async function load(
  world: ClusterWorld,
  { engine, pods }: ClusterContender,
  { folder, seconds, signal }: ClusterOptions,
): Promise<Omit<ClusterMeasurement, 'round' | keyof ClusterContender>> {
  const request: LoadRequest = {
    port: world.port,
    path: `${podsPath}?dryRun=All`,
    headers: [`Authorization: Bearer ${world.token}`],
    status: 201,
    caFile: world.caFile,
    bodyFile: join(folder, `pod-${pods}.json`),
    connections,
    seconds,
    pids: [world.apiServerPid, world.webhookPid],
  };
  const { requests: _, cpuMsPerRequest, answer, ...figures } = await runLoad(request, signal);
  const wanted = engine === 'nothing' || pods === 'unchanged' ? 0 : 3;
  const found = answer.split(`"${rewrittenPrefix}`).length - 1;
  // Of an engine that does nothing any figure is good.
  if (found !== wanted) throw new Error(`${engine}: expected ${wanted} rewritten images, got ${answer}`);
  const [apiServer = Number.NaN, webhook = Number.NaN] = cpuMsPerRequest;
  return { ...figures, apiServer, webhook };
}
