import test from 'ava';
import fc from 'fast-check';
import { difference, differs } from '../../../../src/operator/registry-mirror/differs.ts';

const owner = { manager: 'registry-mirror-operator' };

type Fields = Record<string, unknown>;

/** What the API server stores of an applied object: its fields, and the applier as their owner. */
function applied(desired: Fields, others: Fields = {}): Fields {
  const copy = structuredClone(desired) as Fields & { metadata?: Fields };
  const entry = { manager: owner.manager, operation: 'Apply', fieldsV1: tree(desired) };
  return { ...copy, ...others, metadata: { ...copy.metadata, managedFields: [entry] } };
}

function tree(value: unknown): Fields {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return {};
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [`f:${key}`, tree(inner)]));
}

const leaf = fc.oneof(fc.string(), fc.integer(), fc.boolean());
const fields = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 4 }, leaf, tie('fields'), fc.array(leaf, { minLength: 1, maxLength: 4 })),
  fields: fc.dictionary(
    fc.constantFrom('image', 'command', 'labels', 'spec', 'replicas', 'sizeLimit', 'mode', 'x'),
    tie('value'),
    { minKeys: 1, maxKeys: 5 },
  ),
})).fields as fc.Arbitrary<Fields>;

test('An object that was applied does not differ from what was applied', (t) => {
  fc.assert(fc.property(fields, (desired) => !differs(desired, applied(desired), owner)));
  t.pass();
});

test('Any single changed leaf makes it differ', (t) => {
  fc.assert(
    fc.property(fields, fc.nat(), (desired, pick) => {
      const live: Fields = applied(desired);
      const { managedFields, ...metadata } = live['metadata'] as Fields;
      const bare: Fields = { ...live, metadata };
      const places = leaves(bare);
      const place = places[pick % places.length];
      if (place === undefined) return;
      place.change();
      const changed = { ...bare, metadata: { ...metadata, managedFields } };
      if (!differs(desired, changed, owner)) throw new Error(`not seen at ${place.path.join('.')}`);
    }),
  );
  t.pass();
});

test('Any field that is no longer desired makes it differ while we own it', (t) => {
  fc.assert(
    fc.property(fields, (desired) => {
      const live = applied({ ...desired, extra: { field: 1 } });
      return difference(desired, live, owner) === 'extra';
    }),
  );
  t.pass();
});

test('What others add is left alone', (t) => {
  const desired = { spec: { replicas: 2, containers: [{ name: 'a', image: 'i' }] } };
  const live = applied(desired);
  const spec = live['spec'] as Fields;
  spec['paused'] = false;
  (spec['containers'] as Fields[]).unshift({ name: 'injected', image: 'other' });
  (spec['containers'] as Fields[])[1]!['imagePullPolicy'] = 'IfNotPresent';
  live['status'] = { replicas: 1 };
  t.false(differs(desired, live, owner));
});

test('A key that somebody adds to a selector is a change of our field', (t) => {
  const desired = { spec: { selector: { app: 'a' } } };
  const live = { spec: { selector: { app: 'a', tier: 'b' } } };
  t.is(difference(desired, live, owner), 'spec.selector.tier');
});

test('So is an expression that somebody adds to a selector of labels', (t) => {
  const desired = { spec: { selector: { matchLabels: { app: 'a' } } } };
  const expressions = { matchExpressions: [{ key: 'tier', operator: 'Exists' }] };
  const live = { spec: { selector: { ...desired.spec.selector, ...expressions } } };
  t.is(difference(desired, live, owner), 'spec.selector.matchExpressions');
});

test('What is desired to be null may be set by nobody', (t) => {
  const desired = { spec: { maxUnavailable: 1, minAvailable: null } };
  // The API server notes us as owner of a field that is not there.
  const live = applied(desired);
  t.is(difference(desired, { ...live, spec: { maxUnavailable: 1 } }, owner), undefined);
  t.is(
    difference(desired, { ...live, spec: { maxUnavailable: 1, minAvailable: 1 } }, owner),
    'spec.minAvailable',
  );
});

test('An empty text is a value in a map of texts, and nothing anywhere else', (t) => {
  const missed = (spec: Fields, live: Fields) => difference({ spec }, { spec: live }, owner);
  const worker = { nodeSelector: { 'kubernetes.io/os': 'linux', 'node-role.kubernetes.io/worker': '' } };
  const anyLinux = { nodeSelector: { 'kubernetes.io/os': 'linux' } };
  t.is(missed(worker, anyLinux), 'spec.nodeSelector.node-role.kubernetes.io/worker');
  t.is(missed(worker, worker), undefined);
  t.is(missed({ matchLabels: { team: '' } }, { matchLabels: {} }), 'spec.matchLabels.team');
  t.is(missed({ matchLabels: { team: '' } }, {}), 'spec.matchLabels');
  const labels = { metadata: { labels: { app: 'a', team: '' } } };
  t.is(difference(labels, { metadata: { labels: { app: 'a' } } }, owner), 'metadata.labels.team');
  t.is(
    missed(
      { priorityClassName: '', tolerations: [{ key: 'a', value: '' }] },
      { tolerations: [{ key: 'a' }] },
    ),
    undefined,
  );
});

test('A field that is taken from a toleration or from a term of an affinity makes it differ', (t) => {
  const missed = (spec: Fields, live: Fields) => difference({ spec }, applied({ spec: live }), owner);
  const exists = { key: 'gpu', operator: 'Exists' };
  const noSchedule = { tolerations: [{ ...exists, effect: 'NoSchedule' }] };
  t.is(missed({ tolerations: [exists] }, noSchedule), 'spec.tolerations.0.effect');
  t.is(missed(noSchedule, noSchedule), undefined);
  const zone = { matchExpressions: [{ key: 'zone', operator: 'Exists' }] };
  const named = { ...zone, matchFields: [{ key: 'metadata.name', operator: 'In', values: ['a'] }] };
  const required = (nodeSelectorTerms: Fields[]) => ({
    affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } },
  });
  t.regex(missed(required([zone]), required([named])) ?? '', /nodeSelectorTerms\.0\.matchFields$/);
  t.is(missed(required([named]), required([named])), undefined);
});

test('An empty selector selects everything, and none nothing: that is a difference', (t) => {
  const terms = (term: Fields) => ({
    affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } },
  });
  const own = { topologyKey: 'zone', labelSelector: { matchLabels: { app: 'a' } } };
  const everywhere = { ...own, namespaceSelector: {} };
  t.regex(difference(terms(everywhere), terms(own), owner) ?? '', /0\.namespaceSelector$/);
  t.regex(difference(terms(own), terms(everywhere), owner) ?? '', /0\.namespaceSelector$/);
  t.is(difference(terms(everywhere), terms(everywhere), owner), undefined);
});

test('What others add to an affinity, and what the server adds to other lists, is left alone', (t) => {
  const podAffinity = { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'zone' }] };
  const rules = [{ resources: ['pods'] }];
  const live = applied({ affinity: { podAffinity }, rules });
  (live['affinity'] as Fields)['nodeAffinity'] = {};
  (live['rules'] as Fields[])[0]!['scope'] = '*';
  t.is(difference({ affinity: { podAffinity }, rules }, live, owner), undefined);
});

test('Quantities and durations are compared by value, other text as text', (t) => {
  const wanted = (spec: Fields) => ({ spec });
  const same = (one: Fields, other: Fields) => !differs(wanted(one), wanted(other), owner);
  t.true(same({ limits: { cpu: '0.1' } }, { limits: { cpu: '100m' } }));
  t.true(same({ requests: { storage: '20Gi' } }, { requests: { storage: '20480Mi' } }));
  t.true(same({ requests: { cpu: 1 } }, { requests: { cpu: '1' } }));
  t.false(same({ requests: { cpu: '1' } }, { requests: { cpu: '1001m' } }));
  t.true(same({ duration: '17520h' }, { duration: '17520h0m0s' }));
  t.false(same({ value: '1000m' }, { value: '1' }));
});

test('A list that is one value differs when its length or order does', (t) => {
  const command = (...words: string[]) => ({ spec: { command: words } });
  t.true(differs(command('a', 'b'), command('a'), owner));
  t.true(differs(command('a', 'b'), command('b', 'a'), owner));
  t.true(differs(command('a'), command('a', 'b'), owner));
});

test('Items we own by key are found among defaults; an item no longer desired is named', (t) => {
  const fieldsV1 = {
    'f:spec': {
      'f:containers': {
        'k:{"name":"registry"}': {
          '.': {},
          'f:name': {},
          'f:ports': { 'k:{"containerPort":5000,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {} } },
        },
        'k:{"name":"old"}': { '.': {}, 'f:name': {} },
      },
    },
  };
  const metadata = { managedFields: [{ manager: owner.manager, operation: 'Apply', fieldsV1 }] };
  const registry = { name: 'registry', ports: [{ containerPort: 5000 }] };
  const live = { metadata, spec: { containers: [registry, { name: 'old' }] } };
  t.is(difference({ spec: { containers: [registry] } }, live, owner), 'spec.containers.{"name":"old"}');
  t.is(difference({ spec: { containers: [registry, { name: 'old' }] } }, live, owner), undefined);
});

test('Finalizers of others are left alone, ours is missed', (t) => {
  const desired = { metadata: { finalizers: ['ours'] } };
  t.false(differs(desired, { metadata: { finalizers: ['other', 'ours'] } }, owner));
  t.true(differs(desired, { metadata: { finalizers: ['other'] } }, owner));
});

test('An object that is missing differs', (t) => {
  t.true(differs({}, undefined, owner));
});

interface Place {
  path: string[];
  change(): void;
}

function leaves(value: Fields | unknown[], path: string[] = []): Place[] {
  return Object.entries(value).flatMap(([key, inner]) => {
    if (inner !== null && typeof inner === 'object') return leaves(inner as Fields, [...path, key]);
    const holder = value as Fields;
    return [{ path: [...path, key], change: () => (holder[key] = other(inner)) }];
  });
}

function other(value: unknown): unknown {
  if (typeof value === 'number') return value + 1;
  if (typeof value === 'boolean') return !value;
  return `${value}~`;
}
