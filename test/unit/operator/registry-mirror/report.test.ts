import test from 'ava';
import type { KubeObject } from '../../../../src/kube/object.ts';
import { Store } from '../../../../src/kube/store.ts';
import { createLogger } from '../../../../src/observe/log.ts';
import { LiveView } from '../../../../src/operator/live-view.ts';
import type { Finding } from '../../../../src/operator/registry-mirror/finding.ts';
import { Reporter, type ReporterOptions } from '../../../../src/operator/registry-mirror/report.ts';
import type { StoredMirror } from '../../../../src/operator/registry-mirror/status.ts';
import { mirrorIndex } from '../../../../src/operator/views.ts';
import { settingsOf } from '../../resources/fixtures.ts';

/** A reporter whose statuses are stored at once and whose events are only kept. */
function scene() {
  const clock = { now: Date.parse('2026-01-01T00:00:00Z') };
  const mirrors = new Store();
  let version = 0;
  const next = () => String(++version);
  const other = () => new LiveView(new Store({ indexes: { [mirrorIndex]: () => [] } }));
  const views = { mirrors: new LiveView(mirrors), claims: other() };
  const rest = { services: other(), secrets: other(), statefulSets: other(), daemonSets: other() };
  const events: string[] = [];
  const lost = { status: false };
  const reporter = new Reporter({
    settings: settingsOf(),
    views: { ...views, ...rest },
    events: {
      warning: async (_object: KubeObject, reason: string, message: string, { occurrence = '' } = {}) => {
        events.push([reason, message, occurrence].join('|'));
      },
    } as unknown as ReporterOptions['events'],
    applier: {
      applyStatus: async ({ status }: StoredMirror) => {
        const stored = mirrors.get('m') as StoredMirror;
        const metadata = { ...stored.metadata, resourceVersion: next() };
        if (!lost.status && status) mirrors.put({ ...stored, metadata, status } as KubeObject);
      },
    } as unknown as ReporterOptions['applier'],
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
    await reporter.report(about, { status: { clusterIPs: [] }, findings, obstacles: [] }, signal);
  };
  return { put, stored, report, events, lost };
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

test('A generation is observed by the pass that looked at it, not by one that ends after it came', async (t) => {
  const { report, stored, put } = scene();
  const before = stored();
  put(2);
  await report('True', before);
  t.is(stored().status?.observedGeneration, 1);
  t.is(stored().status?.conditions?.[0]?.observedGeneration, 1);
});
