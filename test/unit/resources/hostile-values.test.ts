/** Whatever passes the schema stays a value: it becomes no other field, no other document, no command. */
import test from 'ava';
import fc from 'fast-check';
import type { RegistryMirror } from '../../../src/api/registry-mirror.ts';
import type { OperatorSettings } from '../../../src/api/settings.ts';
import type { KubernetesObject } from '../../../src/resources/object.ts';
import { allObjects, mirrorOf, settingsOf } from './fixtures.ts';

const text = fc.oneof(
  fc.constantFrom('"', '\n- a: b', '": {x: y}', "'", '{{json x}}', '$(id)', '`id`', '# c', ' #', '<<', '...'),
  fc.constantFrom('\u2028', '\ufeff', '\u0085', '\u007f', '\ud800', '😀', '\t', '\0', '\r\n', '\\', '---\n'),
  fc.constantFrom(
    '',
    'yes',
    '0x10',
    '~',
    'null',
    '1e3',
    '2024-01-01',
    '*a',
    '&a',
    '!!binary',
    '|',
    '__proto__',
  ),
  fc.string({ unit: 'binary', maxLength: 60 }),
);
const dictionary = fc.dictionary(text, text, { maxKeys: 4 });
const toleration = fc.record({ key: text, value: text, effect: fc.constant('NoExecute') });
const tolerations = fc.array(toleration, { minLength: 1, maxLength: 3 });
const anything = fc.dictionary(text, fc.jsonValue({ maxDepth: 3 }), { maxKeys: 4 });
const quantity = fc.stringMatching(/^[1-9][0-9]{0,3}(Mi|Gi|M|m)?$/);
const resources = fc.record({ limits: fc.dictionary(text, quantity, { maxKeys: 3 }) });

const spec = fc.record({
  upstreamUrl: fc.constantFrom('docker.io', 'http://[fd00::1]:5000/a__b', 'quay.io:443/x-y'),
  masqueradeUrl: fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?(\.[a-z]{1,5})?(:[1-9][0-9]{0,3})?$/),
  priorityClass: fc.constantFrom('a', '0-0', 'x.y', '123', '1e3'),
  replicas: fc.integer({ min: 0, max: 64 }),
  nodeSelector: dictionary,
  tolerations,
  affinity: anything,
  resources,
  broker: fc.record({ resources }),
  volumeClaimTemplate: fc.record({ spec: anything }),
  nodes: fc.record({ nodeSelector: dictionary, tolerations, affinity: anything, resources }),
});

const settings = fc.record({
  labels: dictionary,
  templateLabels: dictionary,
  tolerations,
  images: fc.record({ operator: text, nginx: text }),
  imagePullSecrets: fc.array(text, { minLength: 1, maxLength: 2 }),
});

const known = settingsOf();
const plain = allObjects({ mirror: mirrorOf({ upstreamUrl: 'docker.io', affinity: {} }), settings: known });

test('every value of a mirror and of the settings arrives as it was given, and changes nothing else', (t) => {
  let tried = 0;
  fc.assert(
    fc.property(spec, settings, (given, extra) => {
      const mirror = accepted(given);
      if (!mirror) return;
      tried += 1;
      const all = { ...known, ...extra } as OperatorSettings;
      const objects = allObjects({ mirror, settings: all }).filter(isWorkload);
      t.deepEqual(objects, [expectedSet(mirror, all), expectedAgents(mirror, all)]);
    }),
    { numRuns: 200 },
  );
  t.true(tried > 100, `the schema took only ${tried} of 200`);
});

test('no value of a mirror or of the settings becomes part of a command', (t) => {
  fc.assert(
    fc.property(spec, settings, (given, extra) => {
      const mirror = accepted(given);
      if (!mirror) return;
      const objects = allObjects({ mirror, settings: { ...known, ...extra } as OperatorSettings });
      t.deepEqual(commands(objects), commands(plain));
    }),
    { numRuns: 100 },
  );
});

/** The mirror, or undefined where the schema refuses it: then there is nothing to make objects of. */
function accepted(given: Record<string, unknown>): RegistryMirror | undefined {
  try {
    return mirrorOf(JSON.parse(JSON.stringify(given)));
  } catch {
    return undefined;
  }
}

/** The cache of a plain mirror with the values of another put where they belong. */
function expectedSet({ spec }: RegistryMirror, given: OperatorSettings): Workload {
  const set = like('StatefulSet');
  const [registry, broker] = set.spec.template.spec.containers as [Container, Container];
  Object.assign(registry, { image: given.images.nginx, resources: spec.resources });
  Object.assign(broker, { image: given.images.operator, resources: spec.broker?.resources });
  const claim = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '20Gi' } } };
  Object.assign(set.spec, {
    replicas: spec.replicas,
    volumeClaimTemplates: [
      { metadata: { name: 'image-store' }, spec: { ...spec.volumeClaimTemplate?.spec, ...claim } },
    ],
  });
  return placed(set, spec, given, spec);
}

/** The node agents likewise. */
function expectedAgents({ spec }: RegistryMirror, given: OperatorSettings): Workload {
  const agents = like('DaemonSet');
  const [agent] = agents.spec.template.spec.containers as [Container];
  Object.assign(agent, { image: given.images.operator, resources: spec.nodes?.resources });
  const names = agent.env?.filter(({ name }) => ['SHADOW_FQDN', 'ALIAS_NAMES'].includes(name)) ?? [];
  for (const name of names) Object.assign(name, { value: spec.masqueradeUrl });
  return placed(agents, spec.nodes, given, spec);
}

type Place = Pick<RegistryMirror['spec'], 'nodeSelector' | 'tolerations' | 'affinity'> | undefined;

function placed(
  object: Workload,
  place: Place,
  given: OperatorSettings,
  spec: RegistryMirror['spec'],
): Workload {
  const { template } = object.spec;
  object.metadata.labels = { ...given.labels, ...object.metadata.labels };
  template.metadata.labels = { ...given.templateLabels, ...template.metadata.labels };
  Object.assign(template.spec, {
    nodeSelector: { 'kubernetes.io/os': 'linux', ...place?.nodeSelector },
    tolerations: [...given.tolerations, ...(place?.tolerations ?? [])],
    affinity: place?.affinity,
    priorityClassName: spec.priorityClass,
    imagePullSecrets: given.imagePullSecrets.map((name) => ({ name })),
  });
  return object;
}

function like(kind: string): Workload {
  return structuredClone(plain.filter(isWorkload).find((object) => object.kind === kind)) as Workload;
}

interface Workload extends KubernetesObject {
  spec: {
    template: {
      metadata: { labels: Record<string, string> };
      spec: { containers: Container[] };
    };
  };
}

interface Container {
  readonly command?: unknown;
  readonly args?: unknown;
  readonly lifecycle?: unknown;
  readonly readinessProbe?: unknown;
  readonly livenessProbe?: unknown;
  readonly env?: { readonly name: string; readonly value: string }[];
}

function commands(objects: readonly KubernetesObject[]): unknown[] {
  return objects.filter(isWorkload).flatMap(({ spec }) =>
    spec.template.spec.containers.map(({ command, args, lifecycle, readinessProbe, livenessProbe }) => {
      return { command, args, lifecycle, readinessProbe, livenessProbe };
    }),
  );
}

function isWorkload(object: KubernetesObject): object is Workload {
  return object.kind === 'StatefulSet' || object.kind === 'DaemonSet';
}
