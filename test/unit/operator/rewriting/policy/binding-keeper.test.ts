import test from 'ava';
import fc from 'fast-check';
import { compileRules } from '../../../../../src/image/rules/table.ts';
import type { KubeClient } from '../../../../../src/kube/client.ts';
import type { KubeObject } from '../../../../../src/kube/object.ts';
import { Store } from '../../../../../src/kube/store.ts';
import { createLogger } from '../../../../../src/observe/log.ts';
import { LiveView } from '../../../../../src/operator/live-view.ts';
import { BindingKeeper } from '../../../../../src/operator/rewriting/policy/binding-keeper.ts';
import { type Plan, planPolicy } from '../../../../../src/operator/rewriting/policy/plan.ts';
import { defaultSettings } from '../../../../support/rewriting/engine.ts';

const { signal } = new AbortController();
const version = { group: 'admissionregistration.k8s.io', version: 'v1', namespaced: false };
const gilly = { registry: 'my.repo', exclude: [], keepSource: false };

/** A cluster that remembers the bindings after each write. */
function cluster() {
  const stores = { policies: new Store(), bindings: new Store() };
  const history: KubeObject[][] = [];
  let resourceVersion = 0;
  const storeOf = (plural: string) => (plural.endsWith('bindings') ? stores.bindings : stores.policies);
  const client = {
    apply: async ({ plural }: { plural: string }, object: KubeObject) => {
      resourceVersion += 1;
      const uid = storeOf(plural).get(object.metadata.name)?.metadata.uid ?? `uid-${resourceVersion}`;
      const metadata = { ...object.metadata, uid, resourceVersion: String(resourceVersion) };
      const stored = { ...object, metadata };
      storeOf(plural).put(stored);
      history.push(stores.bindings.list());
      return stored;
    },
    delete: async ({ plural }: { plural: string }, { name }: { name: string }) => {
      storeOf(plural).remove(name);
      history.push(stores.bindings.list());
      return true;
    },
  } as unknown as KubeClient;
  const [policies, bindings] = [
    {
      type: { ...version, plural: 'mutatingadmissionpolicies', kind: 'MutatingAdmissionPolicy' },
      view: new LiveView(stores.policies),
    },
    {
      type: { ...version, plural: 'mutatingadmissionpolicybindings', kind: 'MutatingAdmissionPolicyBinding' },
      view: new LiveView(stores.bindings),
    },
  ];
  const logger = createLogger({ level: 'silent' });
  const bringAbout = (plan: Plan) =>
    new BindingKeeper({ client, policies, bindings, owner: [], logger }).bringAbout(plan, signal);
  return { stores, history, bringAbout };
}

/** `map` is imageswap's, whose rules only namespaces have that are labelled for it. */
function planFor(names: readonly string[], map?: string): Plan {
  const imageMaps = names.map((namespace) => ({
    namespace,
    name: 'a',
    creationTimestamp: '',
    map: [{ from: 'x', to: 'y/x' }],
  }));
  const namespaces = names.map((name) => ({ name }));
  return planPolicy({
    table: compileRules({ imageMaps, gilly, ...(map !== undefined && { imageswap: { map } }) }),
    namespaces,
    settings: defaultSettings,
    served: 'v1',
  });
}

interface Spec {
  readonly matchResources: {
    readonly namespaceSelector: {
      readonly matchExpressions: { key: string; operator: string; values: string[] }[];
    };
  };
}

/** How many bindings take pods of a namespace with these labels. */
function takers(bindings: readonly KubeObject[], namespace: string, others: Labels = {}): number {
  const labels: Labels = { 'kubernetes.io/metadata.name': namespace, ...others };
  return bindings.filter(({ spec }) =>
    (spec as Spec).matchResources.namespaceSelector.matchExpressions.every(
      ({ key, operator, values }) => values.includes(labels[key] ?? '') === (operator === 'In'),
    ),
  ).length;
}

type Labels = Readonly<Record<string, string>>;
const enabled = { 'k8s.twr.io/imageswap': 'enabled' };

test('whatever changes, at no moment do two bindings take one namespace, and at the end each is taken by one', async (t) => {
  const names = ['a', 'b', 'c', 'd'];
  await fc.assert(
    fc.asyncProperty(fc.array(fc.subarray(names), { minLength: 2, maxLength: 5 }), async (steps) => {
      const { history, stores, bringAbout } = cluster();
      for (const own of steps) await bringAbout(planFor(own));
      for (const bindings of history) for (const name of names) t.true(takers(bindings, name) <= 1);
      for (const name of names) t.is(takers(stores.bindings.list(), name), 1);
    }),
    { numRuns: 100 },
  );
});

test('while imageswap’s rules come and go, no two bindings take a namespace that is labelled for it', async (t) => {
  const { history, stores, bringAbout } = cluster();
  for (const map of ['default::swap.local', undefined, 'default::swap.local'])
    await bringAbout(planFor(['a'], map));
  for (const labels of [enabled, {}]) {
    for (const bindings of history) t.true(takers(bindings, 'b', labels) <= 1);
    t.is(takers(stores.bindings.list(), 'b', labels), 1);
  }
});

test('nothing is written where nothing changed', async (t) => {
  const { history, bringAbout } = cluster();
  await bringAbout(planFor(['a']));
  const writes = history.length;
  await bringAbout(planFor(['a']));
  t.is(history.length, writes);
});

test('where there is to be no policy, bindings go before it', async (t) => {
  const { history, stores, bringAbout } = cluster();
  await bringAbout(planFor(['a']));
  const before = history.length;
  await bringAbout({ bindings: [], parameters: [], routing: { engine: 'webhook', why: '', webhook: 'all' } });
  t.deepEqual(
    history.slice(before).map((bindings) => bindings.length),
    [1, 0, 0],
  );
  t.is(stores.policies.size, 0);
});
