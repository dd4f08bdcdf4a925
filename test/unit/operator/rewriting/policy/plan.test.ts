import test from 'ava';
import type { RewriteSettings } from '../../../../../src/api/rewrite-settings.ts';
import { compileRules, type RuleSources } from '../../../../../src/image/rules/table.ts';
import { type Plan, type PlanInputs, planPolicy } from '../../../../../src/operator/rewriting/policy/plan.ts';
import { boundNamespaces } from '../../../../../src/operator/rewriting/policy/policy-object.ts';
import { defaultSettings } from '../../../../support/rewriting/engine.ts';

const gilly = { registry: 'my.repo', exclude: [], keepSource: false };
const enabled = { 'k8s.twr.io/imageswap': 'enabled' };
const imageMap = (namespace: string, from = 'nginx') => ({
  namespace,
  name: 'boot',
  creationTimestamp: '2026-01-01T00:00:00Z',
  map: [{ from, to: 'map.local/nginx' }],
});

function plan(
  sources: RuleSources,
  changed: Partial<Omit<PlanInputs, 'table' | 'settings'>> & { settings?: Partial<RewriteSettings> } = {},
): Plan {
  const { settings, ...inputs } = changed;
  const namespaces = [...new Set((sources.imageMaps ?? []).map(({ namespace }) => namespace))].map(
    (name) => ({ name }),
  );
  return planPolicy({
    table: compileRules(sources),
    namespaces,
    served: 'v1',
    ...inputs,
    settings: { ...defaultSettings, ...settings },
  });
}

function bindings({ bindings: all }: Plan) {
  return all.map(({ metadata, spec }) => {
    const { paramRef, matchResources } = spec as {
      paramRef: { name: string; namespace?: string };
      matchResources: {
        namespaceSelector: { matchExpressions: { key: string; operator: string; values: string[] }[] };
      };
    };
    const said = matchResources.namespaceSelector.matchExpressions.map(
      ({ key, operator, values }) => `${key.split('/')[1]} ${operator} ${values}`,
    );
    return [metadata.name, `${paramRef.namespace ?? ''}/${paramRef.name}`, ...said];
  });
}

function standings({ parameters }: Plan) {
  return parameters.map(({ namespace, name, rules, standing: { engine, rules: count, reason } }) => [
    `${namespace}/${name.replace('registry-mirror-rewrite', '')}`,
    engine,
    count,
    reason,
    rules !== undefined,
  ]);
}

test('namespaces with ImageMaps have parameters of their own, all others those of the cluster', (t) => {
  const found = plan({ imageMaps: [imageMap('two'), imageMap('one')], gilly });
  t.deepEqual(bindings(found), [
    ['registry-mirror-rewrite-namespaces', '/registry-mirror-rewrite', 'metadata.name In one,two'],
    [
      'registry-mirror-rewrite-all',
      'default/registry-mirror-rewrite-all',
      'metadata.name NotIn kube-system,one,two',
    ],
  ]);
  t.deepEqual(standings(found), [
    ['default/-all', 'policy', 1, 'Compiled', true],
    ['one/', 'policy', 2, 'Compiled', true],
    ['two/', 'policy', 2, 'Compiled', true],
  ]);
  t.deepEqual(found.routing, {
    engine: 'policy',
    why: 'the API server serves MutatingAdmissionPolicy in v1',
    webhook: [],
  });
});

test('namespaces labelled for imageswap have other parameters only where there are rules of imageswap', (t) => {
  const found = plan({ imageswap: { map: 'default::\na.io::b.io' }, gilly });
  t.deepEqual(bindings(found), [
    [
      'registry-mirror-rewrite-all',
      'default/registry-mirror-rewrite-all',
      'metadata.name NotIn kube-system',
      'imageswap NotIn enabled',
    ],
    [
      'registry-mirror-rewrite-labelled',
      'default/registry-mirror-rewrite-labelled',
      'metadata.name NotIn kube-system',
      'imageswap In enabled',
    ],
  ]);
  t.deepEqual(
    standings(found).map(([name, , count]) => [name, count]),
    [
      ['default/-all', 1],
      ['default/-labelled', 3],
    ],
  );
  const onlyLabelled = plan(
    { imageswap: { map: 'default::\na.io::b.io' }, gilly },
    { settings: { namespaces: 'labelled' } },
  );
  t.deepEqual(
    bindings(onlyLabelled).map(([name]) => name),
    ['registry-mirror-rewrite-labelled'],
  );
});

test('a namespace’s own labels say which rules are compiled for it', (t) => {
  const sources = {
    imageMaps: ['one', 'two', 'off'].map((name) => imageMap(name)),
    imageswap: { map: 'default::d.local' },
  };
  const namespaces = [
    { name: 'one', labels: enabled },
    { name: 'two', labels: { 'image-mapper-webhook.image-relocation.pivotal.io/enabled': 'false' } },
    { name: 'off', labels: { 'k8s.twr.io/imageswap': 'disabled' } },
  ];
  const found = plan(sources, { namespaces });
  t.deepEqual(standings(found).slice(2), [
    ['off/', 'policy', 0, 'OptedOut', false],
    ['one/', 'policy', 2, 'Compiled', true],
    ['two/', 'policy', 0, 'Compiled', true],
  ]);
  t.deepEqual(bindings(found)[0]?.[2], 'metadata.name In one,two');
  t.deepEqual(bindings(found)[1]?.[2], 'metadata.name NotIn kube-system,off,one,two');
});

test('a namespace that is not there has no parameters', (t) => {
  t.deepEqual(
    standings(plan({ imageMaps: [imageMap('gone')] }, { namespaces: [] })).map(([name]) => name),
    ['default/-all'],
  );
});

test('a namespace whose rules do not fit is the webhook’s, and no other one', (t) => {
  const found = plan({ imageMaps: [imageMap('one'), imageMap('odd', 'a\u2028b')], gilly });
  t.deepEqual(found.routing.webhook, ['odd']);
  t.deepEqual(standings(found)[1], ['odd/', 'webhook', 2, 'NotExpressible', false]);
  const own = found.bindings[0];
  t.deepEqual(own && boundNamespaces(own), ['one']);
  t.deepEqual(bindings(found)[1]?.[2], 'metadata.name NotIn kube-system,odd,one');
});

test('rules of all namespaces that do not fit put everything on the webhook, and are shown everywhere', (t) => {
  const found = plan({
    imageMaps: [imageMap('one')],
    imageswap: { map: 'default::\na.io::b.io\nb.io::c.io' },
  });
  const why = 'the line for b.io takes on what the line for a.io makes';
  t.deepEqual(found.routing, { engine: 'webhook', why, webhook: 'all' });
  t.deepEqual([found.policy, found.bindings], [undefined, []]);
  t.deepEqual(standings(found), [
    ['default/-all', 'webhook', 0, 'ChainOfRules', false],
    ['default/-labelled', 'webhook', 3, 'ChainOfRules', false],
    ['one/', 'webhook', 1, 'ChainOfRules', false],
  ]);
});

const engines: readonly [RewriteSettings['engine'], PlanInputs['served'], 'policy' | 'webhook', string][] = [
  ['policy', 'v1', 'policy', 'the API server serves MutatingAdmissionPolicy in v1'],
  ['policy', 'v1beta1', 'policy', 'the API server serves MutatingAdmissionPolicy in v1beta1'],
  ['auto', 'v1', 'policy', 'the API server serves MutatingAdmissionPolicy in v1'],
  ['auto', 'v1beta1', 'webhook', 'the API server serves MutatingAdmissionPolicy in v1beta1 only'],
  ['auto', { obstacle: 'none is served' }, 'webhook', 'none is served'],
  ['policy', { obstacle: 'none is served' }, 'webhook', 'none is served'],
  ['webhook', 'v1', 'webhook', 'REWRITE_ENGINE is webhook'],
];

for (const [engine, served, expected, why] of engines) {
  test(`with REWRITE_ENGINE=${engine} and ${JSON.stringify(served)} served it is the ${expected}`, (t) => {
    const { routing, policy, bindings: bound } = plan({ gilly }, { served, settings: { engine } });
    t.like(routing, { engine: expected, why });
    const version = typeof served === 'string' ? `admissionregistration.k8s.io/${served}` : undefined;
    const versions = [policy, ...bound]
      .filter((object) => object !== undefined)
      .map(({ apiVersion }) => apiVersion);
    t.deepEqual(versions, expected === 'policy' ? [version, version] : []);
  });
}

test('the policy fails open in every way, and says so', (t) => {
  const { policy, bindings: all } = plan({ gilly });
  t.like(policy?.['spec'], { failurePolicy: 'Ignore', reinvocationPolicy: 'Never' });
  for (const { spec } of all) t.like(spec, { paramRef: { parameterNotFoundAction: 'Allow' } });
});

test('the same inputs make the same plan', (t) => {
  const sources = { imageMaps: [imageMap('two'), imageMap('one')], gilly };
  t.deepEqual(plan(sources), plan(sources));
});
