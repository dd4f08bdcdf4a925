import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { kubeconfig } from '../kubernetes/kube-config.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane.ts';
import { eventually } from '../support/eventually.ts';
import { programEnvironment } from '../support/program-environment.ts';

let plane: ControlPlane;

test.before(async () => {
  plane = await startControlPlane();
  await plane.applyCrd(
    fileURLToPath(new URL('../../crds/registrymirrors.k8s.osp.tech.yaml', import.meta.url)),
  );
});

test.after.always(() => plane?.stop());

interface Ended {
  readonly code: number | null;
  readonly stderr: string;
}

/** Runs our executable with the admin's kubeconfig. */
function run(flag: string, env: Record<string, string> = {}): Promise<Ended> {
  const program = fileURLToPath(new URL('../../bin/registry-mirror-operator', import.meta.url));
  const child = spawn(program, [flag], {
    env: {
      ...programEnvironment,
      KUBECONFIG: plane.kubeconfigPath,
      ADDRESSING_SCHEME: 'services',
      ...env,
    },
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (chunk) => (stderr += chunk));
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, stderr })));
}

/** Starts a server that takes the API server's place, and writes the file that leads to it. */
async function kubeconfigFor(t: ExecutionContext, server: Server, scheme = 'http'): Promise<string> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const folder = await mkdtemp(join(tmpdir(), 'kubeconfig-'));
  t.teardown(() => rm(folder, { recursive: true }));
  t.teardown(() => server.close());
  const file = join(folder, 'config');
  const url = `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await writeFile(file, kubeconfig(url, await readFile(plane.caFile, 'utf8'), { token: 'any' }));
  return file;
}

/** Makes a mirror and its Service in a namespace of the test's own; returns the cluster IP. */
async function addMirror(name: string, namespace: string, masqueradeUrl: string): Promise<string> {
  await plane.apply({
    apiVersion: 'k8s.osp.tech/v1',
    kind: 'RegistryMirror',
    metadata: { name },
    spec: { upstreamUrl: 'gcr.io', masqueradeUrl },
  });
  const service = await plane.apply<{ spec: { clusterIP: string } }>({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: `registry-mirror-${name}`,
      namespace,
      labels: { app: 'docker-registry', mirror: name },
    },
    spec: { ports: [{ port: 443 }] },
  });
  return service.spec.clusterIP;
}

function configMap(namespace: string) {
  return plane.adminFetch<{ data: Record<string, string>; metadata: { labels?: Record<string, string> } }>(
    `/api/v1/namespaces/${namespace}/configmaps/imageswap-maps`,
  );
}

test.serial('the map is made when the ConfigMap is missing, and the check agrees with it', async (t) => {
  const env = { NAMESPACE: 'default' };
  t.regex((await run('--map-check', env)).stderr, /key maps is missing/);
  t.is((await run('--map-update', env)).code, 0);
  t.is((await configMap('default')).data['maps'], 'default:\n');
  t.deepEqual(await run('--map-check', env), { code: 0, stderr: '' });
});

test.serial(
  'a changed map fails the check, and the update mends it without touching anything else',
  async (t) => {
    const ip = await addMirror('one', 'default', 'mirror.example');
    await plane.adminFetch('/api/v1/namespaces/default/configmaps/imageswap-maps', {
      method: 'PATCH',
      contentType: 'application/merge-patch+json',
      body: {
        metadata: { labels: { mine: 'yes' } },
        data: { maps: 'default:\nevil:1.2.3.4/x\n', other: 'kept' },
      },
    });
    const check = await run('--map-check');
    t.is(check.code, 1);
    t.is(
      check.stderr,
      `ConfigMap default/imageswap-maps differs: missing "mirror.example:${ip}/mirror.example", foreign "evil:1.2.3.4/x"\n`,
    );
    t.is((await run('--map-update')).code, 0);
    const { data, metadata } = await configMap('default');
    t.deepEqual(data, { maps: `default:\nmirror.example:${ip}/mirror.example\n`, other: 'kept' });
    t.is(metadata.labels?.['mine'], 'yes');
  },
);

test.serial('a label added to the ConfigMap does not fail the check', async (t) => {
  await plane.adminFetch('/api/v1/namespaces/default/configmaps/imageswap-maps', {
    method: 'PATCH',
    contentType: 'application/merge-patch+json',
    body: { metadata: { annotations: { touched: 'by hand' } } },
  });
  t.is((await run('--map-check')).code, 0);
});

test.serial('either flag with another scheme is an error', async (t) => {
  for (const flag of ['--map-check', '--map-update']) {
    const { code, stderr } = await run(flag, { ADDRESSING_SCHEME: 'hostess' });
    t.is(code, 1);
    t.regex(stderr, /^ADDRESSING_SCHEME: expected services/);
  }
});

test.serial('an API server that cannot be reached is no reason to write or to pass', async (t) => {
  await plane.kill('apiserver');
  t.is((await run('--map-update')).code, 1);
  const { code, stderr } = await run('--map-check');
  t.is(code, 1);
  t.regex(stderr, /GET .*ECONNREFUSED.*\n$/);
  await plane.start();
  t.deepEqual(await run('--map-check'), { code: 0, stderr: '' });
});

test('an API server that takes connections and never answers is not waited for longer than a probe has', async (t) => {
  const took = async (server: Server, scheme: string) => {
    const KUBECONFIG = await kubeconfigFor(t, server, scheme);
    const begun = performance.now();
    const { code, stderr } = await run('--map-check', { KUBECONFIG });
    t.is(code, 1);
    t.not(stderr, '');
    return performance.now() - begun;
  };
  const refusing = createServer((_, response) => response.writeHead(400).end());
  const startMs = await took(refusing, 'http');
  // Of a connection that hangs, undici would wait five seconds for the end.
  t.true(
    (await took(
      createServer(() => undefined),
      'http',
    )) <
      startMs + 5_000,
  );
  t.true((await took(createTcpServer(), 'https')) < startMs + 5_000);
});

test.serial('without the kind there is nothing to check, and nothing is written', async (t) => {
  const crd = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/registrymirrors.k8s.osp.tech';
  const before = (await configMap('default')).data;
  await plane.adminFetch(crd, { method: 'DELETE' });
  await eventually(async () => assert.equal((await run('--map-update')).code, 1));
  const { code, stderr } = await run('--map-check');
  t.is(code, 0);
  t.regex(stderr, /CustomResourceDefinition of RegistryMirror is missing/);
  t.deepEqual((await configMap('default')).data, before);
});
