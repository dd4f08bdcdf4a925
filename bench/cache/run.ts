/** One run: certificates, objects, the upstream, all contenders, and every measurement in its order. */
import { mkdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { distributionProgram } from '../../test/distribution/program.ts';
import { makeAuthority, makeLeaf } from '../../test/support/certificates.ts';
import { type Contender, type Ground, startDistribution, startStaticFiles } from './contenders.ts';
import type { Measurement } from './figures.ts';
import { measure } from './measure.ts';
import { startMirror } from './mirror.ts';
import { names } from './names.ts';
import { addObject, makeStore, type Store, type StoredObject } from './objects.ts';
import { type Scenario, schedule } from './scenarios.ts';
import { Upstream } from './upstream.ts';

export interface RunOptions {
  readonly scenarios: readonly Scenario[];
  readonly rounds: number;
  readonly executable: string;
  /** On a disk, and in memory. */
  readonly dir: string;
  readonly memoryDir: string;
  /** Told what happens, for people. */
  readonly progress: (message: string) => void;
  readonly signal: AbortSignal;
}

/** In the benchmark's own network namespace every port is free. */
const ports = {
  registry: 7443,
  cdn: 7444,
  status: 7445,
  file: 7001,
  distribution2: 7002,
  distribution3: 7003,
};
const mirrorPorts = { clients: 7010, peers: 7012 };
const addresses = { single: ['127.0.0.1'], pair: ['127.0.0.2', '127.0.0.3'] };

/** Measures everything; all it started has ended when it returns or throws. */
export async function run(options: RunOptions): Promise<Measurement[]> {
  const { dir, memoryDir, scenarios, rounds, progress, signal } = options;
  await using cleanup = new AsyncDisposableStack();
  const authority = await makeAuthority(join(dir, 'tls'));
  const leaf = await makeLeaf(authority, ['127.0.0.1', ...addresses.pair]);
  const store = makeStore(join(dir, 'store'));
  const objects = await addObjects(store, scenarios, rounds);
  progress('Objects made');
  const workers = availableParallelism();
  const files = { certFile: leaf.certFile, keyFile: leaf.keyFile };
  const place = {
    address: '127.0.0.1',
    ports,
    ...files,
    dir: folder(dir, 'upstream'),
    workerProcesses: workers,
  };
  const upstream = new Upstream(place, signal);
  cleanup.defer(() => upstream.stop());
  await upstream.start(store);
  const ground: Ground = { dir, authority, ...files, upstreamHost: upstream.host, store, workers, signal };
  const contenders = await startContenders(ground, options, cleanup);
  progress(`Contenders started: ${contenders.map(({ name }) => name).join(', ')}`);
  const stand = { upstream, caFile: authority.file, dir: memoryDir, signal };
  const measurements: Measurement[] = [];
  for (const { round, scenario, contender: index } of schedule(scenarios, contenders.length, rounds)) {
    const [contender, object] = [contenders[index]!, objects.get(keyOf(scenario, round))!];
    if (!contender.takes(scenario)) continue;
    const measured = await measure(stand, { round, scenario, contender, object });
    measurements.push(measured);
    progress(`Round ${round + 1}, ${scenario.title}, ${contender.name}: ${measured.seconds.toFixed(2)} s`);
  }
  return measurements;
}

/** In the order in which the tables show them; each is stopped in the end. */
async function startContenders(
  ground: Ground,
  { executable }: RunOptions,
  cleanup: AsyncDisposableStack,
): Promise<Contender[]> {
  const dir = (name: string) => folder(ground.dir, name);
  const contenders: Contender[] = [];
  const add = async (starting: Promise<Contender>) => {
    const contender = await starting;
    cleanup.defer(() => contender.stop());
    contenders.push(contender);
  };
  const own = { executable, ports: mirrorPorts };
  await add(
    startMirror(ground, { ...own, name: names.mirror, dir: dir('mirror'), addresses: addresses.single }),
  );
  await add(
    startMirror(ground, { ...own, name: names.mirrors, dir: dir('mirrors'), addresses: addresses.pair }),
  );
  const three = { name: names.distribution3, program: await distributionProgram(ground.signal) };
  await add(startDistribution(ground, { ...three, dir: dir('distribution3'), port: ports.distribution3 }));
  const two = { name: names.distribution2, program: 'docker-registry' };
  await add(startDistribution(ground, { ...two, dir: dir('distribution2'), port: ports.distribution2 }));
  await add(startStaticFiles(ground, { dir: dir('file'), port: ports.file }));
  return contenders;
}

async function addObjects(
  store: Store,
  scenarios: readonly Scenario[],
  rounds: number,
): Promise<Map<string, StoredObject>> {
  const objects = new Map<string, StoredObject>();
  for (const { round, scenario } of schedule(scenarios, 1, rounds))
    objects.set(keyOf(scenario, round), await addObject(store, scenario, round));
  return objects;
}

function keyOf({ name }: Scenario, round: number): string {
  return `${name} ${round}`;
}

function folder(parent: string, name: string): string {
  const path = join(parent, name);
  mkdirSync(path, { recursive: true });
  return path;
}
