import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { registerHooks } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { dump } from 'js-yaml';

const loaded: string[] = [];
registerHooks({
  resolve(specifier, context, next) {
    loaded.push(specifier);
    return next(specifier, context);
  },
});
const { loadConnection } = await import('../../../src/kube/connection.ts');

test.serial('a service account connects without loading client-node', async (t) => {
  const dir = await serviceAccount(t, 'first');
  const connection = await loadConnection({ serviceAccountDir: dir, apiServerUrl: 'https://10.0.0.1:443/' });
  t.is(connection.url, 'https://10.0.0.1:443');
  t.is(connection.namespace, 'mirrors');
  t.is(await connection.authorization(), 'Bearer first');
  t.deepEqual(await connection.tls(), { ca: 'the CA' });
  t.deepEqual(
    loaded.filter((specifier) => specifier.includes('client-node')),
    [],
  );
});

test.serial('a token the kubelet swapped is read at once after a 401', async (t) => {
  const dir = await serviceAccount(t, 'first');
  const connection = await loadConnection({ serviceAccountDir: dir, apiServerUrl: 'https://10.0.0.1' });
  await swap(dir, 'second');
  t.is(await connection.authorization(), 'Bearer first', 'remembered');
  t.is(await connection.authorization({ fresh: true }), 'Bearer second');
  await rm(join(dir, '..data'));
  t.is(await connection.authorization({ fresh: true }), 'Bearer second', 'in the middle of a swap');
});

test.serial('TLS settings stay the same object while nothing changes', async (t) => {
  const dir = await serviceAccount(t, 'first');
  const connection = await loadConnection({ serviceAccountDir: dir, apiServerUrl: 'https://10.0.0.1' });
  t.is(await connection.tls(), await connection.tls());
});

test.serial('a missing token is named', async (t) => {
  const dir = await serviceAccount(t, 'first');
  await rm(join(dir, 'token'));
  const sources = { serviceAccountDir: dir, apiServerUrl: 'https://10.0.0.1' };
  await t.throwsAsync(loadConnection(sources), { message: /ENOENT.*token/ });
  await t.throwsAsync(loadConnection({}), { message: /No API server/ });
});

test.serial('a kubeconfig gives server, namespace, CA and credentials of the named context', async (t) => {
  const kubeconfigPath = await kubeconfig(t, {
    token: { token: 'abc' },
    basic: { username: 'jane', password: 'pass' },
    exec: { exec: execPlugin },
  });
  const load = (kubeconfigContext?: string) =>
    loadConnection({ kubeconfigPath, ...(kubeconfigContext === undefined ? {} : { kubeconfigContext }) });
  const first = await load();
  t.is(first.url, 'https://127.0.0.1:6443/prefix');
  t.is(first.namespace, 'mirrors');
  t.is(String((await first.tls()).ca), 'the CA');
  t.is(await first.authorization(), 'Bearer abc');
  t.is(await (await load('basic')).authorization(), `Basic ${Buffer.from('jane:pass').toString('base64')}`);
  t.is(await (await load('exec')).authorization(), 'Bearer from-plugin');
  await t.throwsAsync(load('unknown'), { message: /no cluster for context unknown/ });
});

test.serial('a kubeconfig may name a plain HTTP server, such as kubectl proxy', async (t) => {
  const kubeconfigPath = await kubeconfig(t, { none: {} }, 'http://127.0.0.1:8001');
  const connection = await loadConnection({ kubeconfigPath });
  t.is(connection.url, 'http://127.0.0.1:8001');
  t.is(await connection.authorization(), undefined);
});

const execPlugin = {
  apiVersion: 'client.authentication.k8s.io/v1',
  command: process.execPath,
  args: [
    '-e',
    `console.log(JSON.stringify({
      apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', status: { token: 'from-plugin' } }))`,
  ],
};

async function folder(t: ExecutionContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'connection-test-'));
  t.teardown(() => rm(dir, { recursive: true }));
  return dir;
}

/** As the kubelet lays it out: `token` -> `..data/token`, `..data` -> a folder that is replaced as a whole. */
async function serviceAccount(t: ExecutionContext, token: string): Promise<string> {
  const dir = await folder(t);
  await swap(dir, token);
  for (const name of ['token', 'ca.crt', 'namespace']) await symlink(join('..data', name), join(dir, name));
  return dir;
}

async function swap(dir: string, token: string): Promise<void> {
  await mkdir(join(dir, token));
  await writeFile(join(dir, token, 'token'), token);
  await writeFile(join(dir, token, 'ca.crt'), 'the CA');
  await writeFile(join(dir, token, 'namespace'), 'mirrors');
  await symlink(token, join(dir, '..new'));
  await rename(join(dir, '..new'), join(dir, '..data'));
}

async function kubeconfig(
  t: ExecutionContext,
  users: Record<string, object>,
  server = 'https://127.0.0.1:6443/prefix/',
): Promise<string> {
  const path = join(await folder(t), 'config');
  const names = Object.keys(users);
  const ca = { 'certificate-authority-data': Buffer.from('the CA').toString('base64') };
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: server.startsWith('https') ? { server, ...ca } : { server } }],
    users: names.map((name) => ({ name, user: users[name] })),
    contexts: names.map((name) => ({ name, context: { cluster: 'c', user: name, namespace: 'mirrors' } })),
    'current-context': names[0],
  };
  await writeFile(path, dump(config));
  return path;
}
