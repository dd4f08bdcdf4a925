/**
 * `purge` and `warm` from outside a cluster: a real API server with its RBAC, two cache pods whose kubelets run the commands as a
 * container runtime does, in front of two real caches.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { cachedEntries } from '../support/cached-entries.ts';
import { startCommand } from '../support/command.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane.ts';
import { eventually } from '../support/eventually.ts';
import { makeMultiArchImage, ownArchitecture } from '../support/images.ts';
import { addNode, addPod, type KubeletExec, startKubelet, type TestKubelet } from '../support/kubelet.ts';
import { mirrorOf, type TestCache } from '../support/nginx.ts';
import { pushImage, startRegistry } from '../support/registry.ts';
import { startReplicas } from '../support/replicas.ts';

const image = makeMultiArchImage({
  tag: 'v1',
  seed: 'replicas',
  layerSizes: [9_000_000, 1_000],
  architectures: [ownArchitecture, 's390x'],
});
/** The same tag, later. */
const moved = makeMultiArchImage({
  tag: 'v1',
  seed: 'moved',
  layerSizes: [1_000],
  architectures: [ownArchitecture],
});
const deploy = join(import.meta.dirname, '../../deploy');
let plane: ControlPlane;

test.before(async (t) => {
  t.timeout(900_000, 'the programs may have to be built first');
  plane = await startControlPlane();
  await plane.applyCrd(join(deploy, 'base/registrymirrors.k8s.osp.tech.yaml'));
  await plane.applyFile(join(deploy, 'components/cache-users/rbac.yaml'));
});
test.after.always(() => plane?.stop());

interface Replica {
  readonly pod: string;
  readonly kubelet: TestKubelet;
  readonly cache: TestCache;
}

/** Runs what the API server asks for in the place of the pod's container. */
function runIn(t: ExecutionContext, cache: TestCache, exec: KubeletExec): void {
  const [, command = '', ...args] = exec.command;
  const config = ['--config', join(cache.config.paths.confDir, 'broker.json')];
  const { child, ended } = startCommand(t, [command, ...config, ...args]);
  child.stdout.on('data', exec.stdout);
  // The runtime closes standard input when the connection is gone.
  exec.gone.then(() => child.stdin.end());
  ended.then(({ code, stderr }) => {
    exec.stderr(stderr);
    exec.exit(Number(code));
  });
}

/** Makes a cache the one of a pod on a node of its own. */
async function addReplica(t: ExecutionContext, ordinal: number, cache: TestCache): Promise<Replica> {
  const pod = `registry-mirror-m-${ordinal}`;
  const kubelet = await startKubelet(t);
  kubelet.run = (exec) => runIn(t, cache, exec);
  await addNode(plane, `node-${ordinal}`, kubelet);
  const labels = { app: 'docker-registry', mirror: 'm', component: 'registry' };
  await addPod(plane, { name: pod, node: `node-${ordinal}`, labels });
  t.teardown(() =>
    plane.adminFetch(`/api/v1/namespaces/default/pods/${pod}?gracePeriodSeconds=0`, { method: 'DELETE' }),
  );
  return { pod, kubelet, cache };
}

/** Two replicas of mirror `m`, and somebody with the rights that deploy/ gives to users of caches. */
async function world(t: ExecutionContext) {
  const dir = mkdtempSync(join(tmpdir(), 'replicas-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const registry = await startRegistry(join(dir, 'registry'));
  t.teardown(registry.stop);
  await pushImage(registry, 'team/app', image);
  await plane.apply({
    apiVersion: 'k8s.osp.tech/v1',
    kind: 'RegistryMirror',
    metadata: { name: 'm' },
    spec: { upstreamUrl: `https://${registry.host}`, masqueradeUrl: 'mirror.test' },
  });
  const replicas: Replica[] = [];
  const { caches } = await startReplicas(t, mirrorOf(registry, { caFiles: [registry.authority.file] }), 2);
  for (const [ordinal, cache] of caches.entries()) replicas.push(await addReplica(t, ordinal, cache));
  await bind('jane');
  const kubeconfig = await plane.kubeconfigFor({ user: 'jane' });
  const start = (...args: string[]) => startCommand(t, args, { KUBECONFIG: kubeconfig });
  return { registry, replicas, start, run: (...args: string[]) => start(...args).ended };
}

async function setReplicas(replicas: number): Promise<void> {
  await plane.adminFetch('/apis/k8s.osp.tech/v1/registrymirrors/m', {
    method: 'PATCH',
    contentType: 'application/merge-patch+json',
    body: { spec: { replicas } },
  });
}

async function bind(user: string): Promise<void> {
  const group = 'rbac.authorization.k8s.io';
  const name = 'registry-mirror-cache-user';
  const subjects = [{ apiGroup: group, kind: 'User', name: user }];
  for (const scope of ['ClusterRole', 'Role']) {
    await plane.apply({
      apiVersion: `${group}/v1`,
      kind: `${scope}Binding`,
      metadata: { name, ...(scope === 'Role' && { namespace: 'default' }) },
      roleRef: { apiGroup: group, kind: scope, name },
      subjects,
    });
  }
}

function keys({ cache }: Replica): string[] {
  return cachedEntries(cache.config.mirrors[0]!.cacheDir).map(({ key }) => key);
}

/** Digests of the blobs a replica holds. */
function blobs(replica: Replica): Set<string> {
  return new Set(keys(replica).flatMap((key) => /^m\|blob\|(sha256:[0-9a-f]+)\|/.exec(key)?.[1] ?? []));
}

/** Bytes of each blob that a registry has sent, by its access log. */
function sentBlobs({ logFile }: { logFile: string }): Map<string, number> {
  const line = /"GET \/v2\/team\/app\/blobs\/(sha256:[0-9a-f]+) HTTP\/1.1" 20[06] (\d+)/g;
  const sent = new Map<string, number>();
  for (const [, digest = '', bytes] of readFileSync(logFile, 'utf8').matchAll(line)) {
    sent.set(digest, (sent.get(digest) ?? 0) + Number(bytes));
  }
  return sent;
}

test.serial(
  'warm fills every replica and tells it line by line; purge empties them, in two rounds',
  async (t) => {
    const { registry, replicas, run } = await world(t);
    const warmed = await run('warm', 'm', 'mirror.test/team/app:v1');
    t.is(warmed.code, 0, warmed.stderr + warmed.stdout);
    for (const replica of replicas) {
      t.is(blobs(replica).size, 3);
      const told = warmed.stdout.split('\n').filter((line) => line.startsWith(`${replica.pod} `));
      t.is(told.length, 2, warmed.stdout);
      t.regex(told[0] ?? '', new RegExp(`for linux/${ownArchitecture}, 3 blobs, `));
      t.regex(told[1] ?? '', /: cached .* MiB in /);
      t.like(replica.kubelet.execs[0], { container: 'broker', stdin: true });
    }

    // All replicas at once, and yet the upstream has sent every byte once.
    const warm = image.blobs.filter(({ digest }) => blobs(replicas[0]!).has(digest));
    t.deepEqual(
      [...sentBlobs(registry)].toSorted(),
      warm.map(({ digest, content }) => [digest, content.length] as [string, number]).toSorted(),
    );

    const purged = await run('purge', 'm', 'team/app');
    t.is(purged.code, 0, purged.stderr + purged.stdout);
    const lines = purged.stdout.trim().split('\n');
    t.is(lines.length, 3);
    for (const [at, { pod }] of replicas.entries())
      t.regex(lines[at] ?? '', new RegExp(`^${pod}: removed [1-9]`));
    t.regex(lines[2] ?? '', /^m: removed .* on 2 replicas$/);
    for (const replica of replicas) {
      t.deepEqual(
        keys(replica).filter((key) => key.includes('team/app')),
        [],
      );
      t.is(replica.kubelet.execs.filter(({ command }) => command[1] === 'purge').length, 2);
    }
  },
);

test.serial(
  'once a tag that moved is purged every replica serves the new image, though clients never stopped asking',
  async (t) => {
    const { registry, replicas, run } = await world(t);
    const digestOn = async ({ cache }: Replica) => {
      const { headers } = await cache.get('/v2/mirror.test/team/app/manifests/v1');
      return headers['docker-content-digest'];
    };
    const [older, newer] = [image, moved].map(({ manifests }) => manifests.at(-1)?.digest);
    for (const replica of replicas) t.is(await digestOn(replica), older);
    await pushImage(registry, 'team/app', moved);
    for (const replica of replicas) t.is(await digestOn(replica), older, 'for tagTTL');
    const stop = new AbortController();
    t.teardown(() => stop.abort());
    const clients = replicas.map(async (replica) => {
      while (!stop.signal.aborted) await digestOn(replica);
    });
    const purged = await run('purge', 'm', 'team/app:v1');
    for (const replica of replicas) t.is(await digestOn(replica), newer);
    t.is(purged.code, 0, purged.stderr + purged.stdout);
    stop.abort();
    await Promise.all(clients);
  },
);

test.serial(
  'what concerns one replica is told and is exit code 1; the others are served all the same',
  async (t) => {
    const { replicas, run } = await world(t);
    const [first, second] = replicas as [Replica, Replica];
    second.kubelet.run = (exec) => {
      exec.stderr('no such executable');
      exec.exit(127);
    };
    await addPod(plane, {
      name: 'registry-mirror-m-2',
      labels: { app: 'docker-registry', mirror: 'm', component: 'registry' },
      phase: 'Pending',
    });
    t.teardown(() =>
      plane.adminFetch('/api/v1/namespaces/default/pods/registry-mirror-m-2?gracePeriodSeconds=0', {
        method: 'DELETE',
      }),
    );
    const warmed = await run('warm', 'm', 'team/app:v1');
    t.is(warmed.code, 1);
    t.is(blobs(first).size, 3);
    t.regex(warmed.stdout, /registry-mirror-m-1: no such executable\n/);
    t.regex(warmed.stdout, /registry-mirror-m-2: not warmed: Pending\n/);
    const purged = await run('purge', 'm', 'team/app', '--json');
    t.is(purged.code, 1);
    const outcomes = purged.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { pod: string; error?: string });
    t.deepEqual(
      outcomes.map(({ pod, error }) => [pod, error]),
      [
        ['registry-mirror-m-0', undefined],
        ['registry-mirror-m-1', 'no such executable'],
        ['registry-mirror-m-2', 'not purged: Pending'],
      ],
    );

    await setReplicas(4);
    t.teardown(() => setReplicas(2));
    const missing = await run('warm', 'm', 'team/app:v1');
    t.is(missing.code, 1);
    t.regex(missing.stdout, /registry-mirror-m-3: not warmed: there is no such pod\n/);
  },
);

test.serial(
  'a connection to a pod that is lost is opened again, and goes on with what is cached',
  async (t) => {
    const { replicas, run } = await world(t);
    const [first] = replicas as [Replica, Replica];
    let cuts = 3;
    first.kubelet.run = (exec) => {
      if (cuts-- > 0) exec.cut();
      else runIn(t, first.cache, exec);
    };
    const warmed = await run('warm', 'm', 'team/app:v1');
    t.is(cuts, -1);
    t.is(warmed.code, 0, warmed.stdout + warmed.stderr);
    t.regex(
      warmed.stdout,
      /registry-mirror-m-0: exec in default\/registry-mirror-m-0: the connection ended before/,
    );
    t.is(blobs(first).size, 3);
  },
);

test.serial('Ctrl-C ends the commands in the pods as well', async (t) => {
  const { registry, replicas, start } = await world(t);
  // It is tried again for half a minute.
  for (const { cache } of replicas) await cache.stopBroker();
  await registry.stop();
  const ends: Promise<unknown>[] = [];
  for (const { kubelet, cache } of replicas) {
    kubelet.run = (exec) => {
      ends.push(exec.gone);
      const command = startCommand(t, [
        'warm',
        '--config',
        join(cache.config.paths.confDir, 'broker.json'),
        ...exec.command.slice(2),
      ]);
      command.child.stdout.on('data', exec.stdout);
      exec.gone.then(() => command.child.stdin.end());
      ends.push(command.ended);
    };
  }
  const { child, ended } = start('warm', 'm', 'team/app:v1');
  let told = '';
  child.stdout.on('data', (data: Buffer) => {
    told += data.toString();
  });
  await eventually(() => {
    for (const { pod } of replicas) assert.match(told, new RegExp(`${pod} .*trying again`));
  });
  child.kill('SIGINT');
  const { code, stderr } = await ended;
  t.is(code, 1);
  t.is(stderr, 'interrupted\n');
  await Promise.all(ends);
  t.is(ends.length, 4);
});

test.serial(
  'who lacks a right is told which; who names no mirror of the cluster is told which there are',
  async (t) => {
    const { run } = await world(t);
    const unknown = await run('purge', 'none', 'team/app');
    t.is(unknown.code, 1);
    t.is(unknown.stderr, 'There is no RegistryMirror none; there are: m\n');
    const elsewhere = await run('warm', 'm', 'team/app', '-n', 'kube-system');
    t.is(elsewhere.code, 1);
    t.regex(elsewhere.stderr, /needs the right to list pods in namespace kube-system/);
    const other = await run('warm', 'm', 'quay.io/team/app');
    t.is(other.code, 1);
    t.regex(other.stderr, /expected an image of 127.0.0.1:\d+ or mirror.test/);

    const rights = [
      ['nobody', /needs the right to get registrymirrors.k8s.osp.tech/],
      ['lister', /verbs get and create on pods\/exec in namespace default/],
    ] as const;
    const lists = [
      { apiGroups: ['k8s.osp.tech'], resources: ['registrymirrors'], verbs: ['get'] },
      { apiGroups: [''], resources: ['pods'], verbs: ['list'] },
    ];
    await plane.grant({ kind: 'User', name: 'lister' }, lists);
    for (const [user, expected] of rights) {
      const refused = await startCommand(t, ['purge', 'm', 'team/app'], {
        KUBECONFIG: await plane.kubeconfigFor({ user }),
      }).ended;
      t.is(refused.code, 1);
      t.regex(refused.stdout + refused.stderr, expected);
    }
  },
);
