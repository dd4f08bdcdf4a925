import test from 'ava';
import type { KubeObject } from '../../../../src/kube/object.ts';
import { Store } from '../../../../src/kube/store.ts';
import { createLogger } from '../../../../src/observe/log.ts';
import type { ReplicaReport } from '../../../../src/operator/cache-reports/replica-report.ts';
import { LiveView } from '../../../../src/operator/live-view.ts';
import type { NodeOfMirror } from '../../../../src/operator/node-reports/known-agents.ts';
import type { Finding } from '../../../../src/operator/registry-mirror/finding.ts';
import { Reporter, type ReporterOptions } from '../../../../src/operator/registry-mirror/report.ts';
import type { StoredMirror } from '../../../../src/operator/registry-mirror/status.ts';
import { mirrorIndex } from '../../../../src/operator/views.ts';
import { settingsOf } from '../../resources/fixtures.ts';
import { replicaReport } from '../cache-reports/replica-reports.ts';
import { heard, unheard } from '../node-reports/nodes.ts';

/** A reporter whose statuses are stored at once and whose events are only kept. */
function scene() {
  const clock = { now: Date.parse('2026-01-01T00:00:00Z') };
  const [mirrors, statefulSets, daemonSets] = [new Store(), new Store(), new Store()];
  let version = 0;
  const next = () => String(++version);
  const other = () => new LiveView(new Store({ indexes: { [mirrorIndex]: () => [] } }));
  const views = { mirrors: new LiveView(mirrors), claims: other() };
  const rest = {
    services: other(),
    secrets: other(),
    statefulSets: new LiveView(statefulSets),
    daemonSets: new LiveView(daemonSets),
    disruptionBudgets: other(),
    endpointSlices: other(),
  };
  const events: string[] = [];
  const lost = { status: false };
  const written: StoredMirror[] = [];
  const replicas: { reports: readonly ReplicaReport[] | undefined } = { reports: undefined };
  const agents: { nodes: readonly NodeOfMirror[] | undefined } = { nodes: [] };
  const reporter = new Reporter({
    settings: settingsOf(),
    views: { ...views, ...rest },
    events: {
      warning: async (_object: KubeObject, reason: string, message: string, { occurrence = '' } = {}) => {
        events.push([reason, message, occurrence].join('|'));
      },
    } as unknown as ReporterOptions['events'],
    applier: {
      statusDiffers: ({ status }: StoredMirror) =>
        JSON.stringify(status) !== JSON.stringify((mirrors.get('m') as StoredMirror).status),
      applyStatus: async ({ status }: StoredMirror) => {
        written.push({ ...(mirrors.get('m') as StoredMirror), ...(status && { status }) });
        const stored = mirrors.get('m') as StoredMirror;
        const metadata = { ...stored.metadata, resourceVersion: next() };
        if (!lost.status && status) mirrors.put({ ...stored, metadata, status } as KubeObject);
      },
    } as unknown as ReporterOptions['applier'],
    cacheReports: { of: () => replicas.reports },
    nodeReports: { of: () => agents.nodes },
    now: () => new Date(clock.now),
    logger: createLogger({ level: 'silent' }),
  });
  const put = (generation: number) => {
    const metadata = { name: 'm', uid: 'u', resourceVersion: next(), generation };
    mirrors.put({ ...mirrors.get('m'), apiVersion: 'k8s.osp.tech/v1', kind: 'RegistryMirror', metadata });
  };
  put(1);
  const stored = () => mirrors.get('m') as StoredMirror;
  const report = async (status: Finding['status'], about = stored()) => {
    clock.now += 5_000;
    const finding = { type: 'CredentialsValid', status, reason: `Is${status}`, message: 'm' } as const;
    const findings = [{ ...finding, warn: status === 'False' }];
    const signal = new AbortController().signal;
    const wiring = { wire: 'alias', byNameAlone: true } as const;
    const known = { clusterIPs: [], masquerade: 'mirror-m' };
    return reporter.report(about, { status: known, findings, obstacles: [], wiring }, signal);
  };
  const select = (nodes: number) => {
    const counts = { desiredNumberScheduled: nodes, updatedNumberScheduled: nodes, numberReady: nodes };
    const name = 'registry-mirror-m-utils';
    const metadata = { name, namespace: 'default', generation: 1, resourceVersion: next() };
    const status = { observedGeneration: 1, ...counts };
    daemonSets.put({ apiVersion: 'apps/v1', kind: 'DaemonSet', metadata, status } as KubeObject);
  };
  const serve = () => {
    const metadata = { name: 'registry-mirror-m', namespace: 'default', resourceVersion: next() };
    const rest = { spec: { replicas: 1 }, status: { readyReplicas: 1 } };
    statefulSets.put({ apiVersion: 'apps/v1', kind: 'StatefulSet', metadata, ...rest } as KubeObject);
  };
  const condition = (type: string) => stored().status?.conditions?.find((one) => one.type === type);
  return { put, stored, report, events, lost, written, replicas, clock, agents, select, serve, condition };
}

test('Trouble that comes back is another cause; a pass that is begun again is not', async (t) => {
  const { report, events, lost } = scene();
  await report('False');
  await report('False');
  t.is(events.length, 1);
  await report('True');
  lost.status = true;
  await report('False');
  await report('False');
  t.is(events.length, 3);
  t.is(new Set(events).size, 2);
});

test('Credentials that a token server is not shown are not valid, however well their Secret is', async (t) => {
  const { report, replicas, events, condition } = scene();
  replicas.reports = [replicaReport({ credentialsWithheld: 'auth.example' })];
  await report('True');
  for (const type of ['CredentialsValid', 'Ready'])
    t.like(condition(type), { status: 'False', reason: 'TokenServerNotNamed' });
  t.regex(events.join(), /auth\.example/);
  replicas.reports = undefined;
  await report('True');
  t.like(condition('CredentialsValid'), { reason: 'TokenServerNotNamed' }, 'nobody was asked anew');
  await report('False');
  t.like(condition('CredentialsValid'), { reason: 'IsFalse' }, 'what is wrong with the Secret comes first');
  replicas.reports = [replicaReport()];
  await report('True');
  t.like(condition('CredentialsValid'), { status: 'True', reason: 'IsTrue' });
});

test('A generation is observed by the pass that looked at it, not by one that ends after it came', async (t) => {
  const { report, stored, put } = scene();
  const before = stored();
  put(2);
  await report('True', before);
  t.is(stored().status?.observedGeneration, 1);
  t.is(stored().status?.conditions?.[0]?.observedGeneration, 1);
});

const pulled = (minute: number, hour = { bytes: minute * 1e9, upstreamBytes: 0 }) =>
  replicaReport({ lastPull: `2026-01-01T00:0${minute}:00Z`, hour });

test('For numbers and messages alone there is one write a minute, and what was held back is written then', async (t) => {
  const { report, written, replicas, stored, clock } = scene();
  replicas.reports = [pulled(1)];
  t.is(await report('True'), undefined);
  t.is(written.length, 1);
  t.is(stored().status?.lastPull, '2026-01-01T00:01:00Z');

  replicas.reports = [pulled(2)];
  const due = await report('True');
  t.is(due, clock.now - 5_000 + 60_000);
  t.is(written.length, 1);
  clock.now = due ?? 0;
  t.is(await report('True'), undefined);
  t.is(written.length, 2);
  t.is(stored().status?.lastPull, '2026-01-01T00:02:00Z');
  t.is(await report('True'), undefined);
  t.is(written.length, 2, 'nothing changed');
});

test('After the clock was set back numbers are not held back until it is that late again', async (t) => {
  const { report, written, replicas, clock, stored } = scene();
  clock.now += 3_600_000;
  replicas.reports = [pulled(1)];
  await report('True');
  clock.now -= 3_480_000;
  replicas.reports = [pulled(2)];
  await report('True');
  t.is(written.length, 2);
  t.is(stored().status?.lastPull, '2026-01-01T00:02:00Z');
});

test('A condition that flips is written at once, with every number', async (t) => {
  const { report, written, replicas, stored } = scene();
  replicas.reports = [pulled(1)];
  await report('True');
  const upstream = { reason: 'DNS', since: '2026-01-01T00:02:00Z', message: 'no such host' };
  replicas.reports = [replicaReport({ upstream, lastPull: '2026-01-01T00:03:00Z' })];
  await report('True');
  t.is(written.length, 2);
  t.is(stored().status?.lastPull, '2026-01-01T00:03:00Z');
  const ready = stored().status?.conditions?.find(({ type }) => type === 'Ready');
  t.not(ready?.reason, 'DNS', 'an upstream that is away does not unmake a mirror');
});

test('The reason of a failing upstream is one warning, however its message changes', async (t) => {
  const { report, replicas, events, clock } = scene();
  for (const until of ['00:10:00', '00:20:00']) {
    const upstream = { reason: 'RateLimited', since: '2026-01-01T00:02:00Z', until: `2026-01-01T${until}Z` };
    replicas.reports = [replicaReport({ upstream })];
    await report('True');
    clock.now += 60_000;
  }
  t.deepEqual(
    events.map((event) => event.split('|')[0]),
    ['RateLimited'],
  );
});

test('An operator that starts believes what is stored until it has asked', async (t) => {
  const { report, replicas, stored, written } = scene();
  replicas.reports = [pulled(1)];
  await report('True');
  const before = stored().status;
  replicas.reports = undefined;
  await report('True');
  t.is(written.length, 1);
  t.deepEqual(stored().status, before);
  replicas.reports = [];
  await report('True');
  const said = stored().status?.conditions?.find(({ type }) => type === 'UpstreamReachable');
  t.like(said, { status: 'Unknown', reason: 'NoReport' });
  t.is(stored().status?.lastPull, '2026-01-01T00:01:00Z', 'when the mirror was used is not forgotten');
});

test('Counts of nodes are held back for a minute, another reason is not', async (t) => {
  const { report, written, agents, select, condition, stored, clock } = scene();
  select(3);
  const blocked = { complete: false };
  agents.nodes = [heard('a', blocked), heard('b', blocked), heard('c')];
  await report('True');
  t.is(condition('NodesWired')?.message, '1/3 nodes wired; 2 x pass not complete (a, b)');
  t.is(stored().status?.nodes, '1/3');
  agents.nodes = [heard('a', blocked), heard('b'), heard('c')];
  const due = await report('True');
  t.is(written.length, 1);
  clock.now = due ?? 0;
  await report('True');
  t.is(stored().status?.nodes, '2/3');
  agents.nodes = [heard('a'), heard('b'), heard('c')];
  await report('True');
  t.is(condition('NodesWired')?.reason, 'Wired', 'at once');
  t.is(stored().status?.nodes, '3/3');
});

test('An operator that starts believes what is stored of nodes until it has asked them', async (t) => {
  const { report, written, agents, select, condition, stored } = scene();
  select(2);
  agents.nodes = [heard('a'), heard('b', { complete: false })];
  await report('True');
  agents.nodes = undefined;
  await report('True');
  t.is(written.length, 1);
  t.is(stored().status?.nodes, '1/2');
  agents.nodes = [unheard('a'), unheard('b')];
  await report('True');
  t.is(
    condition('NodesWired')?.message,
    '2 of 2 nodes are wired',
    'agents that cannot be asked: as their pods say',
  );
});

test('A forwarder that was used is use; a name that nobody uses is told a day after the mirror was ready', async (t) => {
  const { report, agents, select, serve, condition, clock, replicas } = scene();
  select(1);
  serve();
  replicas.reports = [replicaReport()];
  const forwarder = { port: 1, offered: true, reason: 'Answers', detail: '', connections: 1, bytes: 1 };
  agents.nodes = [heard('a', { forwarder })];
  await report('True');
  const due = await report('True');
  t.is(due, Date.parse(condition('Ready')?.lastTransitionTime ?? '') + 24 * 3_600_000);
  t.is(condition('InUse')?.reason, 'NotUsed');
  clock.now = due ?? 0;
  await report('True');
  t.is(condition('InUse')?.reason, 'AliasUnused');
  agents.nodes = [heard('a', { forwarder: { ...forwarder, lastUsed: new Date(clock.now).toISOString() } })];
  await report('True');
  t.is(condition('InUse')?.reason, 'Used');
});
