import { fileURLToPath } from 'node:url';
import test from 'ava';
import fc from 'fast-check';
import { fieldPath, validateRegistryMirror } from '../../src/api/validate.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane.ts';

let plane: ControlPlane;

test.before(async () => {
  plane = await startControlPlane();
  await plane.applyCrd(
    fileURLToPath(new URL('../../crds/registrymirrors.k8s.osp.tech.yaml', import.meta.url)),
  );
});

test.after.always(() => plane?.stop());

interface Candidate {
  readonly spec: unknown;
  readonly name?: string;
}

function mirror({ spec, name = 'docker' }: Candidate) {
  return { apiVersion: 'k8s.osp.tech/v1', kind: 'RegistryMirror', metadata: { name }, spec };
}

/** What the API server says of a strict dry-run creation; undefined when it accepts the object. */
async function refusal(candidate: Candidate): Promise<string | undefined> {
  const path = '/apis/k8s.osp.tech/v1/registrymirrors?dryRun=All&fieldValidation=Strict';
  try {
    await plane.adminFetch(path, { method: 'POST', body: mirror(candidate) });
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function faults(candidate: Candidate): { path: string; message: string }[] {
  const result = validateRegistryMirror(mirror(candidate));
  if (!('faults' in result)) return [];
  return result.faults.map(({ path, message }) => ({ path: fieldPath(path), message }));
}

/** A rule over several fields has the path of the object it stands at, and its words begin with the field. */
function names(said: string, path: string): boolean {
  const [, object, field] = /^(.*)\.([^.]*)$/.exec(path) ?? [];
  return said.includes(path) || new RegExp(`${object}: Invalid value: ${field}[.:]`).test(said);
}

const accepted: Candidate[] = [
  {
    spec: {
      upstreamUrl: 'gcr.io',
      nodes: { wire: 'transparent', runtimes: ['auto', 'hosts'], containerd: 'configure' },
    },
  },
  {
    spec: {
      upstreamUrl: 'gcr.io',
      nodes: { runtimes: ['docker', 'crio'], startupTaint: 'example.com/not-wired' },
    },
  },
  { spec: { upstreamUrl: 'gcr.io', nodes: { endpoint: 'service', clientCertificate: false } } },
  { spec: { upstreamUrl: 'hub.docker.io' } },
  { spec: { upstreamUrl: 'https://harbor.example:8443/proxy/hub', masqueradeUrl: 'local.docker.io:5000' } },
  { spec: { upstreamUrl: '[fd00::1]:5000', masqueradeUrl: 'six' } },
  { spec: { upstreamUrl: 'gcr.io', replicas: 0, resources: { limits: { memory: '1Gi', cpu: 2 } } } },
  {
    spec: {
      upstreamUrl: 'gcr.io',
      volumeClaimTemplate: {
        metadata: { labels: { a: 'b' } },
        spec: { storageClassName: '', resources: { requests: { storage: '1Ti' } } },
      },
    },
  },
  {
    spec: {
      upstreamUrl: 'gcr.io',
      nodes: { tolerations: [{ operator: 'Exists' }] },
      affinity: { nodeAffinity: {} },
    },
  },
  { spec: { upstreamUrl: 'gcr.io' }, name: 'x'.repeat(36) },
];

const transparent = { wire: 'transparent' };
const longHost = [63, 63, 63].map((length) => 'x'.repeat(length)).join('.');
const pathless = [
  'https://quay.io',
  'http://reg.local:5000',
  'https://quay.io/',
  'https://index.docker.io/v1/',
];
accepted.push(
  ...pathless.map((upstreamUrl) => ({ spec: { upstreamUrl, nodes: transparent } })),
  { spec: { upstreamUrl: `${'a'.repeat(54)}.${longHost}:65535` } },
  { spec: { upstreamUrl: `${'a'.repeat(60)}.${longHost}/team`, masqueradeUrl: 'm:65535' } },
  { spec: { upstreamUrl: 'a', upstreamProxy: 'http://[fd00::1]:3128' } },
  { spec: { upstreamUrl: 'http://a', priorityClass: '', credentialsSecret: '', access: 'publicOnly' } },
  { spec: { upstreamUrl: 'a', credentialsSecret: '', credentials: [{ secret: 's' }] } },
  { spec: { upstreamUrl: 'http://a', masqueradeUrl: null, credentialsSecret: null, priorityClass: null } },
  { spec: { upstreamUrl: 'a', replicas: null, nodes: null, cache: { tagTTL: null, maxSize: null } } },
  { spec: { upstreamUrl: 'a', tolerations: [{ key: null, operator: 'Exists' }], nodeSelector: { a: null } } },
  { spec: { upstreamUrl: 'a', credentials: [{ prefix: null, secret: 's' }], affinity: { x: [null] } } },
  { spec: { upstreamUrl: 'a', resources: { limits: { cpu: null } }, nodes: { runtimes: null } } },
  { spec: { upstreamUrl: 'a', volumeClaimTemplate: { spec: { accessModes: null, volumeName: null } } } },
);

const refused: Candidate[] = [
  { spec: null },
  { spec: { upstreamUrl: null } },
  { spec: { upstreamUrl: 'a', nonsense: null } },
  { spec: { upstreamUrl: 'a', redirectHosts: [null] } },
  { spec: { upstreamUrl: 'a', tolerations: [null] } },
  { spec: { upstreamUrl: 'a', credentials: [{ secret: '' }] } },
  { spec: { upstreamUrl: 'https://quay.io/a', nodes: transparent } },
  { spec: { upstreamUrl: 'index.docker.io/v1/a', nodes: transparent } },
  { spec: { upstreamUrl: 'quay.io/v1', nodes: transparent } },
  { spec: { upstreamUrl: `${'a'.repeat(55)}.${longHost}:5000` } },
  { spec: { upstreamUrl: `https://aa.${'a'.repeat(60)}.${longHost}`, masqueradeUrl: 'm' } },
  { spec: { upstreamUrl: 'reg:99999' } },
  { spec: { upstreamUrl: 'reg:65536/team', masqueradeUrl: 'm' } },
  { spec: { upstreamUrl: 'a', masqueradeUrl: 'm:70000' } },
  { spec: { upstreamUrl: 'a', upstreamProxy: 'http://proxy:70000/' } },
  { spec: { upstreamUrl: '[::::]:5000', masqueradeUrl: 'm' } },
  { spec: { upstreamUrl: '[fd00::1::2]', masqueradeUrl: 'm' } },
  { spec: { upstreamUrl: 'a', upstreamProxy: 'http://[::::]:3128' } },
  { spec: {} },
  { spec: { upstreamUrl: '' } },
  { spec: { upstreamUrl: 'a', masqueradeUrl: '10.0.0.1:5000' } },
  { spec: { upstreamUrl: 'a b' } },
  { spec: { upstreamUrl: 'a;return 200' } },
  { spec: { upstreamUrl: `a.${'b'.repeat(600)}` } },
  { spec: { upstreamUrl: 7 } },
  { spec: { upstreamUrl: 'a', masqueradeUrl: 'b\n10.0.0.1 evil' } },
  { spec: { upstreamUrl: 'a', masqueradeUrl: 'b/c' } },
  { spec: { upstreamUrl: 'a', replicas: -1 } },
  { spec: { upstreamUrl: 'a', replicas: 65 } },
  { spec: { upstreamUrl: 'a', replicas: '2' } },
  { spec: { upstreamUrl: 'a', credentialsSecret: 'Not A Name' } },
  { spec: { upstreamUrl: 'a', priorityClass: '../x' } },
  { spec: { upstreamUrl: 'a', cache: { tagPolicy: 'never' } } },
  { spec: { upstreamUrl: 'a', cache: { tagTTL: '1 minute' } } },
  { spec: { upstreamUrl: 'a', resources: { requests: { cpu: 'much' } } } },
  { spec: { upstreamUrl: 'a', tolerations: [{ effect: 'No' }] } },
  { spec: { upstreamUrl: 'a', volumeClaimTemplate: { spec: { accessModes: ['All'] } } } },
  { spec: { upstreamUrl: 'a', volumeClaimTemplate: { spec: { volumeMode: 'Block' } } } },
  { spec: { upstreamUrl: 'a', nonsense: true } },
  { spec: { upstreamUrl: 'a', cache: { nonsense: true } } },
  { spec: { upstreamUrl: 'http://a', credentialsSecret: 'b' } },
  { spec: { upstreamUrl: '[fd00::1]' } },
  { spec: { upstreamUrl: `${'a'.repeat(57)}.example` } },
  { spec: { upstreamUrl: 'a' }, name: 'x'.repeat(37) },
  { spec: { upstreamUrl: 'a' }, name: 'a.b' },
  { spec: { upstreamUrl: 'a', nodes: { endpoint: 'service', clientCertificate: true } } },
  { spec: { upstreamUrl: 'a/b', nodes: { wire: 'transparent' } } },
  { spec: { upstreamUrl: 'a', nodes: { runtimes: ['auto', 'docker'] } } },
  { spec: { upstreamUrl: 'a', nodes: { runtimes: [] } } },
  { spec: { upstreamUrl: 'a', nodes: { startupTaint: 'not a key' } } },
];

for (const candidate of accepted) {
  test(`${JSON.stringify(candidate)} is accepted by the API server and by us`, async (t) => {
    t.is(await refusal(candidate), undefined);
    t.deepEqual(faults(candidate), []);
  });
}

for (const candidate of refused) {
  test(`${JSON.stringify(candidate).slice(0, 120)} is refused by the API server in the words we use offline`, async (t) => {
    const said = await refusal(candidate);
    const ours = faults(candidate);
    t.not(said, undefined);
    t.true(ours.length > 0);
    for (const { path, message } of ours) {
      t.true(said?.includes(message), `${said} does not say: ${path}: ${message}`);
      t.true(names(said ?? '', path), `${said} does not name ${path}`);
    }
  });
}

test('whatever strings are put into a mirror, the API server and we agree on accepting it', async (t) => {
  const text = fc.oneof(
    fc.string({ maxLength: 20 }),
    fc.stringMatching(/^[a-z0-9.:[\]/_-]{1,24}$/),
    fc.constantFrom('gcr.io', 'http://a', 'a:5000', '[::1]', 'a/b', '20Gi', '60s', '1', '', null),
  );
  const spec = fc.record(
    {
      upstreamUrl: text,
      masqueradeUrl: text,
      credentialsSecret: text,
      priorityClass: text,
      cache: fc.record({ tagTTL: text }),
      volumeClaimTemplate: fc.record({
        spec: fc.record({
          storageClassName: text,
          resources: fc.record({ requests: fc.record({ storage: text }) }),
        }),
      }),
    },
    { requiredKeys: ['upstreamUrl'] },
  );
  const property = fc.asyncProperty(spec, async (sample) => {
    const said = await refusal({ spec: sample });
    t.is(faults({ spec: sample }).length === 0, said === undefined, `${JSON.stringify(sample)}: ${said}`);
  });
  await fc.assert(property, { numRuns: 300 });
});

test('a stored mirror has its columns, its short name and its scale', async (t) => {
  await plane.adminFetch('/apis/k8s.osp.tech/v1/registrymirrors', {
    method: 'POST',
    body: mirror({ spec: { upstreamUrl: 'gcr.io' }, name: 'stored' }),
  });
  const table = await plane.adminFetch<{ columnDefinitions: { name: string }[] }>(
    '/apis/k8s.osp.tech/v1/registrymirrors/stored',
    {
      headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' },
    },
  );
  t.deepEqual(
    table.columnDefinitions.map(({ name }) => name),
    ['Name', 'Upstream', 'Masquerade', 'Address', 'Cache', 'Nodes', 'Hit', 'In use', 'Ready', 'Age'],
  );
  const { resources } = await plane.adminFetch<{ resources: { name: string; shortNames?: string[] }[] }>(
    '/apis/k8s.osp.tech/v1',
  );
  t.deepEqual(resources.find(({ name }) => name === 'registrymirrors')?.shortNames, ['rm']);
  const scale = await plane.adminFetch<{ spec: { replicas: number } }>(
    '/apis/k8s.osp.tech/v1/registrymirrors/stored/scale',
  );
  t.is(scale.spec.replicas, 2);
});
