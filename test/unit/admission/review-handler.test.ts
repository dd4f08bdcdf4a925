/** Answers, metrics and log together, without a socket. */
import test from 'ava';
import { WebhookMetrics } from '../../../src/admission/metrics.ts';
import { NamespaceLabels } from '../../../src/admission/namespace-labels.ts';
import { reviewPaths } from '../../../src/admission/paths.ts';
import { ReviewHandler } from '../../../src/admission/review-handler.ts';
import { compileRules } from '../../../src/image/rules/table.ts';
import type { KubeClient } from '../../../src/kube/client.ts';
import { createLogger, type LogLevel } from '../../../src/observe/log.ts';
import { pod, reviewOf, settings } from '../../support/reviews.ts';

const table = compileRules({
  imageswap: {
    map: 'default::\nquay.io::swap.local\nghcr.io::swap.local\nbad.io::no_.local\nwrong line',
  },
  mirrors: [{ name: 'hub', masquerade: 'hub.example', address: '10.0.0.1', available: true }],
});
const namespace = { metadata: { labels: { 'k8s.twr.io/imageswap': 'enabled' } } };

function scene(level: LogLevel = 'info') {
  let log = '';
  const logger = createLogger({ level, destination: { write: (line: string) => (log += line) } });
  const certificateExpiry = () => new Date('2030-01-01T00:00:00Z');
  const metrics = new WebhookMetrics({ synced: () => true, certificateExpiry, table: () => table });
  const namespaces = new NamespaceLabels({
    store: { get: (name) => (name === 'team' ? namespace : undefined) as never },
    client: { getOrUndefined: async () => namespace } as unknown as KubeClient,
    unknown: () => undefined,
  });
  const state = { table: () => table };
  const handler = new ReviewHandler({ table: () => state.table(), namespaces, settings, metrics, logger });
  const ask = async (value: unknown, path = '/rewrite') => {
    const found = reviewPaths.find((each) => each.path === path)!;
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    return JSON.parse(await handler.answer(found, { outcome: 'complete', text, isOver: true })).response;
  };
  const figures = async () => {
    const { text } = await metrics.text();
    const lines = text.split('\n').filter((line) => line.startsWith('registry_mirror_webhook'));
    return Object.fromEntries(lines.map((line) => line.split(/ (?=[^ ]+$)/))) as Record<string, string>;
  };
  const lines = () => {
    handler.close();
    return log
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  };
  return { ask, figures, lines, state, log: () => log };
}

const name = 'registry_mirror_webhook';

test('that no review failed is told from the start, for each path and what is sent to it', async (t) => {
  const { figures } = scene();
  const failed = Object.entries(await figures()).filter(([series]) => series.includes('result="failed"'));
  const expected = reviewPaths.flatMap(({ name: path, operations }) =>
    operations.map((operation) => [
      `${name}_reviews_total{path="${path}",operation="${operation}",result="failed"}`,
      '0',
    ]),
  );
  t.deepEqual(failed.sort(), expected.sort() as [string, string][]);
});

test('reviews, images, reasons and warnings are counted', async (t) => {
  const { ask, figures } = scene();
  t.truthy((await ask(reviewOf(pod({ a: 'quay.io/a', b: 'nginx', c: 'bad.io/x' })))).patch);
  t.is((await ask(reviewOf(pod({ a: 'nginx' })))).patch, undefined);
  await ask(reviewOf(pod({ a: 'hub.example/x' }, {}, { imagePullSecrets: [{ name: 's' }] })), '/');
  await ask(reviewOf(pod({ a: 'quay.io/a' }), { namespace: 'kube-system' }));
  await ask(reviewOf(pod({ a: 'quay.io/a' }), { operation: 'A{}\n"LABEL' }));
  await ask('{"request":');
  t.like(await figures(), {
    [`${name}_reviews_total{path="rewrite",operation="CREATE",result="patched"}`]: '1',
    [`${name}_reviews_total{path="rewrite",operation="CREATE",result="unchanged"}`]: '1',
    [`${name}_reviews_total{path="imageswap",operation="CREATE",result="unchanged"}`]: '1',
    [`${name}_reviews_total{path="rewrite",operation="CREATE",result="optedOut"}`]: '1',
    [`${name}_reviews_total{path="rewrite",operation="other",result="unchanged"}`]: '1',
    [`${name}_reviews_total{path="rewrite",operation="other",result="invalid"}`]: '1',
    [`${name}_images_total{outcome="rewritten",source="imageswap"}`]: '1',
    [`${name}_images_total{outcome="none",source="none"}`]: '3',
    [`${name}_images_total{outcome="invalid",source="imageswap"}`]: '1',
    [`${name}_passed_over_total{reason="pullSecrets"}`]: '1',
    [`${name}_passed_over_total{reason="namespace"}`]: '1',
    [`${name}_passed_over_total{reason="operation"}`]: '1',
    [`${name}_warnings_total`]: '1',
    [`${name}_synced`]: '1',
    [`${name}_map_faults`]: '2',
    [`${name}_rules{source="imageswap"}`]: '4',
    [`${name}_rules{source="mirrors"}`]: '1',
    [`${name}_certificate_expiry_timestamp_seconds`]: '1893456000',
  });
});

test('a dry run is answered like any other, and counted apart', async (t) => {
  const { ask, figures, lines } = scene();
  t.truthy((await ask(reviewOf(pod({ a: 'quay.io/a' }), { dryRun: true }))).patch);
  const counted = await figures();
  t.is(counted[`${name}_dry_runs_total`], '1');
  t.deepEqual(
    Object.entries(counted).filter(([key, value]) => /reviews_total|images_total/.test(key) && value !== '0'),
    [],
  );
  t.deepEqual(lines(), []);
});

test('what is rewritten is told with names and rules, many pods in one line, and nothing else of a pod', async (t) => {
  const { ask, lines } = scene();
  const secret = { env: [{ name: 'PASSWORD', value: 's3cr3t' }] };
  for (let index = 0; index < 20; index += 1)
    await ask(
      reviewOf({
        metadata: { generateName: `web-${index}-`, annotations: { a: 's3cr3t' } },
        spec: { containers: [{ name: 'c', image: 'quay.io/a', ...secret }] },
      }),
    );
  const told = lines();
  t.is(told.length, 1);
  t.like(told[0], { level: 'info', namespace: 'team', objects: 20, images: 20, msg: 'Rewrote images' });
  t.deepEqual(told[0].rules, ['imageswap:2 quay.io']);
  t.is(told[0].names[0], 'web-0-*');
  t.false(JSON.stringify(told).includes('s3cr3t'));
});

test('at level debug each object is told, and why nothing was done', async (t) => {
  const { ask, lines } = scene('debug');
  await ask(reviewOf(pod({ a: 'hub.example/x' }, {}, { imagePullSecrets: [{ name: 's' }] })));
  await ask(reviewOf(pod({ a: 'quay.io/x' }), { namespace: 'kube-system' }));
  const told = lines();
  t.deepEqual(told[0].images, ['hub.example/x none mirror/hub hub.example: pullSecrets']);
  t.like(told[1], { reason: 'namespace', why: 'namespace kube-system is never rewritten' });
});

test('images of two repositories that come to have one name are told once', async (t) => {
  const { ask, lines, figures } = scene();
  await ask(reviewOf(pod({ a: 'quay.io/a/b:1' })));
  await ask(reviewOf(pod({ a: 'ghcr.io/a/b:1' })));
  await ask(reviewOf(pod({ a: 'ghcr.io/a/b:1', b: 'quay.io/a/b:2' })));
  const told = lines().filter(({ msg }) => msg.startsWith('Images of several'));
  t.is(told.length, 1);
  t.deepEqual(told[0].sources, ['ghcr.io/a/b', 'quay.io/a/b']);
  t.is((await figures())[`${name}_meetings_total`], '1');
});

test('a namespace that is not known yet is asked for', async (t) => {
  const { ask } = scene();
  t.truthy((await ask(reviewOf(pod({ a: 'quay.io/a' }), { namespace: 'new' }))).patch);
});

test('a fault of ours costs nobody a pod, and is told without the pod', async (t) => {
  const { ask, figures, lines, state } = scene();
  state.table = () => {
    throw new Error('broken');
  };
  t.deepEqual(await ask(reviewOf(pod({ a: 'quay.io/a' }))), { uid: 'u-1', allowed: true });
  t.like(lines()[0], { level: 'error', uid: 'u-1' });
  t.is((await figures())[`${name}_reviews_total{path="rewrite",operation="CREATE",result="failed"}`], '1');
});
