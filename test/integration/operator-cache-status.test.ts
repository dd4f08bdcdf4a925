/** What replicas say of themselves, on a real API server: when it gets into the status, and when it does not. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import test, { type ExecutionContext } from 'ava';
import type { CacheReportInput } from '../../src/cache/cache-report.ts';
import { configurationMark } from '../../src/cache/configuration-mark.ts';
import { ports } from '../../src/cache/ports.ts';
import { createClient } from '../../src/kube/client.ts';
import { loadConnection } from '../../src/kube/connection.ts';
import { createLogger } from '../../src/observe/log.ts';
import { fetchReport } from '../../src/operator/cache-reports/fetch-report.ts';
import { Operator } from '../../src/operator/operator.ts';
import { eventually } from '../support/eventually.ts';
import { type Live, pathsOf, startWorld, type World } from '../support/operator-world.ts';
import { settingsOf } from '../unit/resources/fixtures.ts';

let world: World;
test.before(async () => {
  world = await startWorld();
});
test.after.always(() => world?.end());

type MirrorInput = CacheReportInput['mirrors'][number];

const path = pathsOf('hub').mirror;
const warnings = async (reason: string) =>
  (await world.warnings('hub')).filter((event: Live) => event.reason === reason).length;

/** A replica: the API server takes no loopback address for an endpoint, so 10.94.0.N stands for 127.94.0.N. */
async function startReplica(t: ExecutionContext, index: number) {
  const said: MirrorInput = {
    name: 'hub',
    upstream: { reason: 'Ok', since: new Date().toISOString() },
    cache: { bytes: 2 ** 30, limitBytes: 2 ** 34, freeBytes: 2 ** 33, writable: true },
    hour: { bytes: 2 ** 30, upstreamBytes: 2 ** 28 },
    lastPull: new Date().toISOString(),
  };
  const replica = { said, polls: 0, ends: () => server.close() };
  const server = createServer((_request, response) => {
    replica.polls += 1;
    response.end(JSON.stringify({ version: 1, mirrors: [replica.said] }));
  });
  await new Promise<void>((resolve) => server.listen(ports.metrics, `127.94.0.${index}`, resolve));
  t.teardown(() => server.closeAllConnections());
  t.teardown(() => server.close());
  return replica;
}

/** As the endpoint controller makes them of the headless Service; it takes over the Service's labels. */
async function publish(replicas: number): Promise<void> {
  const service = await world.get(pathsOf('hub').headlessService);
  const endpoints = Array.from({ length: replicas }, (_, index) => ({
    addresses: [`10.94.0.${index + 1}`],
    conditions: { ready: true, serving: true },
    targetRef: { kind: 'Pod', name: `registry-mirror-hub-${index}`, namespace: 'default' },
  }));
  await world.plane.apply({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: 'registry-mirror-hub-headless-x',
      namespace: 'default',
      labels: { ...service.metadata.labels, 'service.kubernetes.io/headless': '' },
    },
    addressType: 'IPv4',
    endpoints,
    ports: service.spec.ports.map(({ name, port }: Live) => ({ name, port, protocol: 'TCP' })),
  } as Live);
}

/** An operator in this process, which polls all the time. Returns what ends it. */
async function startOperator(t: ExecutionContext): Promise<() => Promise<void>> {
  const client = createClient(await loadConnection(world.proxy.access), {
    userAgent: 'test',
  });
  const operator = new Operator({
    client,
    settings: settingsOf(),
    identity: 'test',
    secondsBetweenStreams: 1,
    logger: createLogger({ level: 'silent' }),
    polling: {
      fetchReport: (address, signal) => fetchReport(address.replace(/^10/, '127'), signal),
      pauseMs: { least: 50, most: 50 },
    },
  });
  const stop = new AbortController();
  const ended = operator.run(stop.signal);
  const end = async () => {
    stop.abort();
    await ended;
    await client.close();
  };
  t.teardown(end);
  return end;
}

/** As the StatefulSet's controller tells it. */
async function rolledOut(): Promise<void> {
  const { statefulSet } = pathsOf('hub');
  const { metadata } = await world.get(statefulSet);
  const counts = { replicas: 2, readyReplicas: 2, updatedReplicas: 2 };
  await world.plane.adminFetch(`${statefulSet}/status`, {
    method: 'PATCH',
    contentType: 'application/merge-patch+json',
    body: { status: { observedGeneration: metadata.generation, ...counts } },
  });
}

/** The mark of the configuration as it is written now. */
async function writtenMark(): Promise<string> {
  const { data } = await world.get(pathsOf('hub').configSecret);
  return configurationMark(Buffer.from(data['broker.json'], 'base64').toString());
}

const statusWrites = () => world.proxy.writes().filter((request) => request.path === `${path}/status`).length;

test.serial('What replicas say reaches the status, and costs no write where it stays the same', async (t) => {
  const [one, two] = [await startReplica(t, 1), await startReplica(t, 2)];
  const polled = async (times: number) => {
    const before = two.polls;
    await eventually(() => assert.ok(two.polls >= before + times));
  };
  const end = await startOperator(t);
  await world.mirror('hub', { upstreamUrl: 'hub.example' });
  await world.condition('hub', 'UpstreamReachable', 'NoReport');
  await publish(2);
  await world.condition('hub', 'UpstreamReachable', 'Reachable');
  await world.condition('hub', 'CacheWritable', 'Writable');
  await world.condition('hub', 'InUse', 'Pulled');
  const { status } = await world.get(path);
  t.like(status, { cacheSize: '2.0 GiB of 32.0 GiB', hitRatio: '75%' });
  t.regex(status.lastPull, /:00Z$/);
  await world.quiet();

  world.proxy.reset();
  await polled(20);
  t.deepEqual(world.proxy.writes(), [], 'idle');

  for (let step = 1; step <= 10; step += 1) {
    two.said = { ...two.said, hour: { bytes: step * 2 ** 40, upstreamBytes: 0 } };
    await polled(2);
  }
  t.true(statusWrites() <= 1, `${statusWrites()} writes for numbers alone`);

  world.proxy.reset();
  const upstream = { reason: 'RateLimited', since: new Date().toISOString() };
  one.said = { ...one.said, upstream: { ...upstream, until: new Date(Date.now() + 60_000).toISOString() } };
  const limited = await world.condition('hub', 'UpstreamReachable', 'RateLimited');
  t.regex(limited.message, /registry-mirror-hub-0 .* left alone until /);
  one.said = { ...one.said, upstream: { ...upstream, until: new Date(Date.now() + 90_000).toISOString() } };
  await polled(4);
  t.is(await warnings('RateLimited'), 1);
  const ready = (await world.get(path)).status.conditions.find(({ type }: Live) => type === 'Ready');
  t.not(ready.reason, 'RateLimited');

  one.said = { ...one.said, scrub: { checked: 5, corrupt: 1, lastCorrupt: new Date().toISOString() } };
  await eventually(async () => assert.equal(await warnings('CorruptObject'), 1));
  await polled(4);
  t.is(await warnings('CorruptObject'), 1);

  await end();
  world.proxy.reset();
  await startOperator(t);
  await polled(4);
  await world.quiet();
  // An event that is there already is refused by its name.
  t.deepEqual(
    world.proxy.writes().filter(({ path: at, status }) => at !== `${path}/status` && status !== 409),
    [],
  );
  t.true(statusWrites() <= 1, 'the numbers that were held back');
  t.is(await warnings('CorruptObject'), 1);
});

test.serial(
  'Who waits for a change waits for the pods, and for the configuration of each replica',
  async (t) => {
    const [one, two] = [await startReplica(t, 1), await startReplica(t, 2)];
    const end = await startOperator(t);
    await world.mirror('hub', { upstreamUrl: 'hub.example' });
    await publish(2);
    await world.condition('hub', 'Reconciling', 'RollingOut');
    await rolledOut();
    await world.condition('hub', 'Reconciling', 'UpToDate');
    const before = await writtenMark();
    for (const replica of [one, two]) replica.said = { ...replica.said, configuration: before };

    await world.mirror('hub', { upstreamUrl: 'other.example' });
    const pending = await world.condition('hub', 'Reconciling', 'ConfigurationPending');
    t.is(pending.status, 'True');
    const after = await writtenMark();
    t.not(after, before);
    one.said = { ...one.said, configuration: after };
    await eventually(async () => {
      const { message } = await world.condition('hub', 'Reconciling', 'ConfigurationPending');
      assert.match(message, /^registry-mirror-hub-1: /);
    });
    two.said = { ...two.said, configuration: after };
    t.is((await world.condition('hub', 'Reconciling', 'UpToDate')).status, 'False');
    await end();
  },
);
