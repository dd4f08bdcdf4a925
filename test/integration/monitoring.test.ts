/** The rules and the dashboard of deploy/components/monitoring on a real Prometheus that scrapes live parts. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { load } from 'js-yaml';
import { prometheusPrograms } from '../prometheus/program.ts';
import { eventually } from '../support/eventually.ts';
import { type MonitoredWorld, monitoringFolder, startMonitoredWorld } from '../support/monitored-world.ts';
import type { Live } from '../support/operator-world.ts';
import type { Prometheus } from '../support/prometheus.ts';

const run = promisify(execFile);

interface Expression {
  readonly of: string;
  readonly text: string;
}

/** What is there only now and then: an upstream that tells its limit, a cache that had to evict. */
const rare = [
  'registry_mirror_upstream_rate_limit_remaining',
  'registry_mirror_cache_youngest_evicted_age_seconds',
];

test('promtool takes the rules, and each alert fires when it should and not before', async (t) => {
  const { promtool } = await prometheusPrograms();
  const checked = await run(promtool, ['check', 'rules', '--lint=all', '--lint-fatal', plain('rules.yaml')]);
  t.regex(checked.stdout, /SUCCESS: \d+ rules found/);
  const tested = await run(promtool, [
    'test',
    'rules',
    join(import.meta.dirname, 'fixtures/alert-rules.test.yaml'),
  ]);
  t.regex(tested.stdout, /SUCCESS/);
});

test('every query finds what it asks for in live parts, and alerts fire when something breaks', async (t) => {
  t.timeout(180_000);
  const parts = await startMonitoredWorld(t);
  const { prometheus } = parts;
  await everythingScraped(parts);
  t.is(await parts.ask('/v2/library/app/manifests/1'), 200);

  const expressions = [...alertExpressions(), ...panelExpressions()];
  let faults: string[] = [];
  await eventually(async () => {
    faults = (await Promise.all(expressions.map((each) => faultsOf(prometheus, each)))).flat();
    assert.equal(faults.length, 0);
  }).catch(() => undefined);
  t.deepEqual(faults, []);
  t.log(`${alertExpressions().length} alerts and ${panelExpressions().length} queries`);

  await t.notThrowsAsync(breaks(parts));
});

/** Each job has a target that answers, and what it tells is known. */
async function everythingScraped({ prometheus, ask, world }: MonitoredWorld): Promise<void> {
  await eventually(async () => {
    const up = await prometheus.query('up == 1');
    assert.deepEqual(
      up.map(({ labels }) => labels['job']).sort(),
      [
        'registry-mirror-cache',
        'registry-mirror-nodes',
        'registry-mirror-operator',
        'registry-mirror-webhook',
      ],
      world.lastWords(),
    );
  });
  // A histogram has series once there was something to observe, and a rate has values with the second scrape.
  assert.equal(await ask('/v2/'), 200);
}

/** What is wrong with an expression: names and labels that no scrape has; of a query of the dashboard also that it gives nothing. */
async function faultsOf(prometheus: Prometheus, { of, text }: Expression): Promise<string[]> {
  const selectors = await prometheus.selectors(text);
  const known = new Set<string>();
  const faults: string[] = [];
  for (const { metric, labels } of selectors) {
    if (rare.includes(metric)) {
      if ((await prometheus.api('metadata', { metric }))[metric] === undefined)
        faults.push(`${of}: no ${metric}`);
      known.add('mirror');
      continue;
    }
    const series: Record<string, string>[] = await prometheus.api('series', { 'match[]': metric });
    const names = new Set(series.flatMap((each) => Object.keys(each)));
    if (series.length === 0) faults.push(`${of}: no ${metric}`);
    for (const label of labels) if (!names.has(label)) faults.push(`${of}: no ${label} of ${metric}`);
    for (const name of names) known.add(name);
  }
  if (selectors.length === 0) faults.push(`${of}: asks for nothing`);
  for (const label of await prometheus.groupings(text))
    if (!known.has(label)) faults.push(`${of}: no label ${label}`);
  await prometheus.query(text);
  return faults;
}

/** One thing after the other is broken, and what should be told of it is. */
async function breaks({ prometheus, registry, ask, webhook, operator }: MonitoredWorld): Promise<void> {
  await fires(prometheus, 'RegistryMirrorCredentialsExpire', { mirror: 'demo' });
  await fires(prometheus, 'RegistryMirrorNotReady', { mirror: 'demo' });
  await fires(prometheus, 'RegistryMirrorNodeFallsBack', { mirror: 'demo', node: 'node-1' });
  const before = await prometheus.alerts();
  for (const quiet of [
    'RegistryMirrorUpstreamFails',
    'RegistryMirrorOperatorDown',
    'RegistryRewriteWebhookDown',
    'RegistryMirrorNotScraped',
  ])
    assert.equal(before.get(quiet), undefined, quiet);

  await registry.stop();
  assert.notEqual(await ask('/v2/library/other/manifests/1'), 200);
  await fires(prometheus, 'RegistryMirrorUpstreamFails', { mirror: 'demo' });
  await registry.start();
  await eventually(async () => assert.equal(await ask('/v2/library/other/manifests/1'), 404));
  await ends(prometheus, 'RegistryMirrorUpstreamFails');

  await webhook.kill();
  await fires(prometheus, 'RegistryRewriteWebhookDown', {});
  await fires(prometheus, 'RegistryMirrorNotScraped', { job: 'registry-mirror-webhook' });
  await operator.kill();
  await fires(prometheus, 'RegistryMirrorOperatorDown', {});
}

async function fires(prometheus: Prometheus, name: string, labels: Record<string, string>): Promise<void> {
  await eventually(async () => {
    const found = (await prometheus.alerts()).get(name) ?? [];
    const isMeant = (each: Record<string, string>) =>
      Object.entries(labels).every(([label, value]) => each[label] === value);
    assert.ok(found.some(isMeant), `${name} ${JSON.stringify(found)}`);
  });
}

async function ends(prometheus: Prometheus, name: string): Promise<void> {
  await eventually(async () => assert.equal((await prometheus.alerts()).get(name), undefined));
}

function alertExpressions(): Expression[] {
  const { groups } = load(readFileSync(plain('rules.yaml'), 'utf8')) as Live;
  return groups.flatMap(({ rules }: Live) =>
    rules.map(({ alert, expr }: Live) => ({ of: alert, text: expr })),
  );
}

/** With what Grafana puts in place of its variables. */
function panelExpressions(): Expression[] {
  const { panels } = JSON.parse(readFileSync(plain('dashboard.json'), 'utf8')) as Live;
  return panels.flatMap(({ title, targets = [] }: Live) =>
    targets.map(({ expr }: Live) => ({
      of: title,
      text: expr.replaceAll('$__rate_interval', '1m').replaceAll('$mirror', '.*'),
    })),
  );
}

function plain(name: string): string {
  return join(monitoringFolder, 'plain', name);
}
