import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { AuthenticationV1Api, KubeConfig } from '@kubernetes/client-node';
import test from 'ava';
import { dump } from 'js-yaml';
import { type KubeObject, StatusError } from '../kubernetes/api-request.ts';
import { type ControlPlane, dualStackServices, startControlPlane } from '../support/control-plane.ts';
import { eventually } from '../support/eventually.ts';

const configMaps = '/api/v1/namespaces/default/configmaps';
let temporary: string;
let plane: ControlPlane;

test.before(async (t) => {
  t.timeout(900_000, 'the programs may have to be built first');
  // Folders of control planes that other test files start at the same time must not be counted.
  temporary = await mkdtemp(join(tmpdir(), 'control-plane-test-'));
  process.env['TMPDIR'] = temporary;
  plane = await startControlPlane();
});

test.after.always(async () => {
  await plane?.stop();
  await rm(temporary, { recursive: true });
});

test.serial('the API server is ready and is of the pinned version', async (t) => {
  t.is(await plane.adminFetch<string>('/readyz'), 'ok');
  const version = await plane.adminFetch<{ gitVersion: string; major: string; minor: string }>('/version');
  t.like(version, { gitVersion: 'v1.36.3', major: '1', minor: '36' });
});

test.serial(
  'a ConfigMap applied by the server has one field manager and keeps what others own',
  async (t) => {
    await plane.adminFetch(configMaps, { method: 'POST', body: configMap('applied', { foreign: '1' }) });
    const applied = await plane.apply(configMap('applied', { ours: '2' }));
    t.deepEqual(applied['data'], { foreign: '1', ours: '2' });
    const managers = applied.metadata['managedFields'] as Array<{ manager: string; operation: string }>;
    t.true(managers.some(({ manager, operation }) => manager === 'test' && operation === 'Apply'));
  },
);

test.serial('a CRD with a CEL rule is served, and the rule is enforced', async (t) => {
  const file = join(plane.folder, 'crd.yaml');
  await writeFile(file, dump(widgetCrd));
  await plane.applyCrd(file);
  t.is((await plane.apply(widget('allowed', 3))).kind, 'Widget');
  const refused = await t.throwsAsync(plane.apply(widget('refused', 4)), {
    instanceOf: StatusError,
    code: 422,
  });
  t.regex(refused.message, /size must be odd/);
});

test.serial('a MutatingAdmissionPolicy of v1 changes what is admitted', async (t) => {
  await plane.apply(labelPolicy);
  await plane.apply(labelPolicyBinding);
  // The API server learns of a policy by a watch.
  await eventually(async () => {
    const dryRun = `${configMaps}?dryRun=All`;
    const admitted = await plane.adminFetch(dryRun, { method: 'POST', body: configMap('admitted', {}) });
    assert.deepEqual(admitted.metadata['labels'], { admitted: 'yes' });
  });
  t.pass();
});

test.serial(
  'Pod Security admission refuses a privileged pod where the namespace is restricted',
  async (t) => {
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    await plane.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'restricted', labels } });
    const error = await t.throwsAsync(plane.apply(pod('restricted')), { instanceOf: StatusError, code: 403 });
    t.regex(error.message, /violates PodSecurity/);
    t.is((await plane.apply(pod('default'))).kind, 'Pod');
  },
);

test.serial('a service account can do what it was given and nothing else', async (t) => {
  const rules = [{ apiGroups: [''], resources: ['configmaps'], verbs: ['list'] }];
  const token = await plane.tokenFor({ namespace: 'accounts', name: 'reader' }, rules);
  const list = await plane.adminFetch<{ kind: string }>(configMaps, { token });
  t.is(list.kind, 'ConfigMapList');
  const create = plane.adminFetch(configMaps, { token, method: 'POST', body: configMap('denied', {}) });
  await t.throwsAsync(create, { instanceOf: StatusError, code: 403 });
});

test.serial('the admin and a user with a certificate are known by their kubeconfig files', async (t) => {
  t.like(await whoAmI(plane.kubeconfigPath), {
    username: 'admin',
    groups: ['system:masters', 'system:authenticated'],
  });
  const path = await plane.kubeconfigFor({ user: 'alice', groups: ['developers'] });
  t.like(await whoAmI(path), { username: 'alice', groups: ['developers', 'system:authenticated'] });
});

test.serial('the audit log tells who wrote what', async (t) => {
  await plane.apply(configMap('audited', {}));
  const events = await plane.auditLog();
  const event = events.find(({ objectRef }) => objectRef?.name === 'audited');
  t.like(event, { verb: 'patch', user: { username: 'admin' }, responseStatus: { code: 201 } });
});

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  test.serial(
    `the API server restarted by ${signal} after a gap has the data and the address it had`,
    async (t) => {
      await plane.apply(configMap(`kept-${signal.toLowerCase()}`, { key: signal }));
      const started = Date.now();
      const watch = plane.adminFetch(`${configMaps}?watch=1`).catch(() => undefined);
      const restarted = plane.restartApiServer({ gapMs: 1000, signal });
      await eventually(() => assert.rejects(plane.adminFetch('/readyz'), { code: 'ECONNREFUSED' }));
      await restarted;
      t.true(Date.now() - started < 15_000, 'an open watch must not delay the end');
      await watch;
      const kept = await plane.adminFetch(`${configMaps}/kept-${signal.toLowerCase()}`);
      t.deepEqual(kept['data'], { key: signal });
    },
  );
}

test.serial('etcd killed and started again has the data it had', async (t) => {
  await plane.apply(configMap('durable', { key: 'value' }));
  await plane.kill('etcd');
  await eventually(() => assert.rejects(plane.adminFetch('/readyz'), { code: 500 }));
  await plane.restart('etcd');
  t.deepEqual((await plane.adminFetch(`${configMaps}/durable`))['data'], { key: 'value' });
});

test.serial('after a compaction every resourceVersion handed out before is answered with 410', async (t) => {
  const { metadata } = await plane.adminFetch<{ metadata: { resourceVersion: string } }>(configMaps);
  const old = metadata.resourceVersion;
  t.true((await plane.compactEtcd()) > Number(old));
  const list = plane.adminFetch(`${configMaps}?resourceVersion=${old}&resourceVersionMatch=Exact`);
  await t.throwsAsync(list, { instanceOf: StatusError, code: 410 });
  const event = await plane.adminFetch<WatchEvent>(
    `${configMaps}?watch=1&timeoutSeconds=5&resourceVersion=${old}`,
  );
  t.like(event, { type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } });
});

test.serial(
  'with the controller manager, dependents are collected and services have both families',
  async (t) => {
    const own = await startControlPlane({ enableControllerManager: true, serviceIpRange: dualStackServices });
    t.teardown(() => own.stop());
    const { metadata } = await own.apply(configMap('owner', {}));
    const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: metadata.uid }];
    await own.apply({ ...configMap('dependent', {}), metadata: { name: 'dependent', ownerReferences } });
    await own.adminFetch(`${configMaps}/owner`, { method: 'DELETE' });
    await eventually(() => assert.rejects(own.adminFetch(`${configMaps}/dependent`), { code: 404 }));
    t.is((await own.apply(pod('default'))).kind, 'Pod');
    const { spec } = await own.apply<{ spec: { clusterIPs: string[] } }>(dualStackService);
    t.deepEqual(
      spec.clusterIPs.map((ip) => ip.includes(':')),
      [false, true],
    );
  },
);

test.serial('a start that fails or is aborted throws and leaves neither process nor folder', async (t) => {
  const error = await t.throwsAsync(startControlPlane({ apiServerFlags: ['--no-such-flag'] }));
  t.regex(error.message, /unknown flag: --no-such-flag/);
  await t.throwsAsync(startControlPlane({ signal: AbortSignal.timeout(500) }));
  t.deepEqual(readdirSync(temporary), [basename(plane.folder)]);
  t.deepEqual(processesNaming(temporary), processesNaming(plane.folder));
});

test.serial('stop leaves neither process nor folder', async (t) => {
  t.true(processesNaming(plane.folder).length >= 2);
  await plane.stop();
  t.deepEqual(processesNaming(plane.folder), []);
  t.false(existsSync(plane.folder));
});

test.serial('the death of the test process leaves neither process nor folder', async (t) => {
  const { child, folder } = await startInChild();
  t.true(processesNaming(folder).length >= 2);
  child.kill('SIGKILL');
  await eventually(() => {
    assert.deepEqual(processesNaming(folder), []);
    assert.equal(existsSync(folder), false);
  });
  t.pass();
});

interface WatchEvent {
  type: string;
  object: KubeObject;
}

function configMap(name: string, data: Record<string, string>): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' }, data };
}

function pod(namespace: string): KubeObject {
  const containers = [
    { name: 'main', image: 'registry.invalid/none', securityContext: { privileged: true } },
  ];
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'privileged', namespace }, spec: { containers } };
}

function widget(name: string, size: number): KubeObject {
  return { apiVersion: 'test.invalid/v1', kind: 'Widget', metadata: { name }, spec: { size } };
}

const widgetCrd = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.test.invalid' },
  spec: {
    group: 'test.invalid',
    scope: 'Cluster',
    names: { kind: 'Widget', listKind: 'WidgetList', plural: 'widgets', singular: 'widget' },
    versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: widgetSchema() } }],
  },
};

function widgetSchema() {
  const spec = {
    type: 'object',
    properties: { size: { type: 'integer' } },
    'x-kubernetes-validations': [{ rule: 'self.size % 2 == 1', message: 'size must be odd' }],
  };
  return { type: 'object', properties: { spec } };
}

const labelPolicy: KubeObject = {
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'MutatingAdmissionPolicy',
  metadata: { name: 'label' },
  spec: {
    failurePolicy: 'Fail',
    reinvocationPolicy: 'Never',
    matchConstraints: {
      resourceRules: [
        { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'] },
      ],
    },
    matchConditions: [{ name: 'admitted', expression: "object.metadata.name == 'admitted'" }],
    mutations: [
      {
        patchType: 'ApplyConfiguration',
        applyConfiguration: { expression: 'Object{metadata: Object.metadata{labels: {"admitted": "yes"}}}' },
      },
    ],
  },
};

const labelPolicyBinding: KubeObject = {
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'MutatingAdmissionPolicyBinding',
  metadata: { name: 'label' },
  spec: { policyName: 'label' },
};

const dualStackService: KubeObject = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'both', namespace: 'default' },
  spec: { ipFamilyPolicy: 'RequireDualStack', ports: [{ port: 80 }] },
};

/** Reads the file as a user's client does and asks the API server who that is. */
async function whoAmI(kubeconfigPath: string): Promise<{ username?: string; groups?: string[] } | undefined> {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfigPath);
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
  const review = await config.makeApiClient(AuthenticationV1Api).createSelfSubjectReview({ body });
  return review.status?.userInfo;
}

/** The ids of the processes with `text` in their command line. */
function processesNaming(text: string): string[] {
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && commandLine(pid).includes(text));
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // It has ended since /proc was listed.
  }
}

/** Starts a control plane in a process of its own, as a test file is. */
async function startInChild(): Promise<{ child: ChildProcess; folder: string }> {
  const module = join(import.meta.dirname, '../support/control-plane.ts');
  const program = `
    const { startControlPlane } = await import(${JSON.stringify(module)});
    console.log((await startControlPlane()).folder);
    setInterval(() => {}, 60_000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [folder] = await once(child.stdout.setEncoding('utf8'), 'data');
  return { child, folder: folder.trim() };
}
