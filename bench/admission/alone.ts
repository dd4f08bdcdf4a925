/** Part `alone`: the webhook without an API server that calls it, beside a bare server, in turns. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePorts } from '../../test/kubernetes/free-ports.ts';
import { makeAuthority, makeLeaf } from '../../test/support/certificates.ts';
import type { Contender, Measurement } from './figures.ts';
import { contenders } from './figures.ts';
import type { LoadRequest, LoadResult } from './load.ts';
import type { Options } from './options.ts';
import { podReview, registries } from './pod-review.ts';
import { runLoad } from './run-load.ts';
import { type Servers, startServers } from './servers.ts';

const connectionCounts = [1, 16];
/** Both servers run for weeks: what compiles itself in their first seconds is not their pace. Measured: the webhook's took some five seconds of load. */
const warmUp = { connections: 16, seconds: 6 };

export interface AloneOptions extends Pick<Options, 'rounds' | 'seconds'> {
  /** For what is written. */
  readonly folder: string;
  readonly progress: (message: string) => void;
  readonly signal: AbortSignal;
}

/** Measures; everything it started has ended when it returns or throws. */
export async function measureAlone(options: AloneOptions): Promise<Measurement[]> {
  const { folder, rounds, progress } = options;
  const authority = await makeAuthority(folder);
  const leaf = await makeLeaf(authority, ['localhost', '127.0.0.1']);
  for (const [name, registry] of Object.entries(registries))
    await writeFile(join(folder, `${name}.json`), podReview(registry));
  const measurements: Measurement[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    // One start of the same program is faster than the next one by up to a fifth: both start anew for each round.
    await using servers = await startServers(folder, leaf, await freePorts(2));
    for (const contender of contenders) {
      progress(`round ${round} of ${rounds}: warming up, ${contender}`);
      await load({ ...options, seconds: warmUp.seconds }, servers, contender, warmUp.connections);
    }
    measurements.push(...(await measureRound(options, servers, round)));
  }
  return measurements;
}

async function measureRound(options: AloneOptions, servers: Servers, round: number): Promise<Measurement[]> {
  const { rounds, progress } = options;
  const measurements: Measurement[] = [];
  for (const connections of connectionCounts)
    for (const contender of contenders) {
      progress(`round ${round} of ${rounds}: ${contender}, ${connections} connections`);
      const {
        answer,
        requests: _,
        cpuMsPerRequest,
        ...figures
      } = await load(options, servers, contender, connections);
      assertAnswer(contender, answer);
      measurements.push({
        ...{ round, contender, connections, ...figures },
        cpuMsPerRequest: cpuMsPerRequest[0] ?? Number.NaN,
      });
    }
  return measurements;
}

async function load(
  { folder, seconds, signal }: AloneOptions,
  servers: Servers,
  contender: Contender,
  connections: number,
): Promise<LoadResult> {
  const { port, pid } = contender === 'bare' ? servers.bare : servers.webhook;
  const bodyFile = join(folder, contender === 'unchanged' ? 'unchanged.json' : 'rewritten.json');
  const request: LoadRequest = {
    port,
    pids: [pid],
    path: '/rewrite?timeout=10s',
    headers: [],
    status: 200,
    caFile: join(folder, 'ca.crt'),
    bodyFile,
    connections,
    seconds,
  };
  return runLoad(request, signal);
}

/** A webhook that does nothing is quick. */
function assertAnswer(contender: Contender, answer: string): void {
  const { response } = JSON.parse(answer) as { response: { allowed: boolean; patch?: string } };
  const isPatched = response.patch !== undefined;
  if (!response.allowed || isPatched !== (contender === 'rewritten'))
    throw new Error(`${contender}: got an answer of another kind: ${answer}`);
}
