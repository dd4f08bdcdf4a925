import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { registerHooks } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
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

test.serial('a user who acts as somebody else is refused, not let in with more rights', async (t) => {
  const kubeconfigPath = await kubeconfig(t, { admin: { token: 'abc', as: 'readonly' } });
  await t.throwsAsync(loadConnection({ kubeconfigPath }), { message: /impersonation .* is not supported/ });
});

test.serial('a kubeconfig that is no YAML is told by its line, without what stands there', async (t) => {
  const path = join(await folder(t), 'config');
  const secrets = [
    '    token: s3cret',
    '    token: *s3cret',
    '    token: !s3cret x',
    '    token: !Pa^s3cret',
    "    token: 's3cret",
  ];
  for (const line of secrets) {
    await writeFile(path, ['users:', '- user:', line, '   password: s3cret', 'x'].join('\n'));
    const error = await t.throwsAsync(loadConnection({ kubeconfigPath: path }));
    const told = [error?.message, error?.stack, inspect(error?.cause)].join();
    t.regex(told, /config:\d+: [a-z]/);
    t.notRegex(told, /s3cret/);
  }
});

test.serial('a kubeconfig may name a plain HTTP server, such as kubectl proxy', async (t) => {
  const kubeconfigPath = await kubeconfig(t, { none: {} }, 'http://127.0.0.1:8001');
  const connection = await loadConnection({ kubeconfigPath });
  t.is(connection.url, 'http://127.0.0.1:8001');
  t.is(await connection.authorization(), undefined);
});

test.serial('files that KUBECONFIG lists are merged as kubectl merges them', async (t) => {
  const dir = await folder(t);
  const entry = (file: string) => ({ name: file, context: { cluster: file, user: file, namespace: file } });
  const write = async (file: string, server: string, changes: object = {}) => {
    const path = join(dir, file, 'config');
    await mkdir(join(dir, file));
    const users = [{ name: file, user: { token: `token of ${file}` } }];
    const clusters = [{ name: file, cluster: { server, 'certificate-authority': 'ca.crt' } }];
    await writeFile(join(dir, file, 'ca.crt'), `CA of ${file}`);
    await writeFile(path, dump({ clusters, users, contexts: [entry(file)], ...changes }));
    return path;
  };
  const first = await write('first', 'https://first.example');
  const second = await write('second', 'https://second.example', { 'current-context': 'second' });
  const third = await write('third', 'https://third.example', {
    'current-context': 'third',
    clusters: [
      { name: 'second', cluster: { server: 'https://wrong.example' } },
      { name: 'third', cluster: { server: 'https://third.example' } },
    ],
  });
  const empty = join(dir, 'empty');
  await writeFile(empty, '\n');
  const kubeconfigPaths = [join(dir, 'none'), empty, first, second, third];
  const connection = await loadConnection({ kubeconfigPaths });
  t.is(connection.url, 'https://second.example', 'the first current context, the first cluster of its name');
  t.is(connection.namespace, 'second');
  t.is(await connection.authorization({ fresh: true }), 'Bearer token of second');
  t.is(String((await connection.tls()).ca), 'CA of second', 'a path in a file is beside that file');
  for (const kubeconfigContext of ['first', 'third']) {
    const { url } = await loadConnection({ kubeconfigPaths, kubeconfigContext });
    t.is(url, `https://${kubeconfigContext}.example`);
  }
  await t.throwsAsync(loadConnection({ kubeconfigPaths: [join(dir, 'none'), empty] }), {
    message: /KUBECONFIG.*none/,
  });
  await t.throwsAsync(loadConnection({ kubeconfigPath: join(dir, 'none') }), { message: /ENOENT/ });
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
