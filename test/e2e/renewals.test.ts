/** What is renewed while a mirror runs: credentials every minute, and the authority that signs everything. Pulls go on all the while. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { signedBy } from '../../src/cache/tls/certificate.ts';
import { protectUpstream } from '../cluster/protect-upstream.ts';
import type { KubeObject } from '../kubernetes/api-request.ts';
import { eventually } from '../support/eventually.ts';
import { cacheLabels, type InstalledCluster, installedCluster, isOfNode } from './installed-cluster.ts';
import { lookOften } from './look-often.ts';
import { secondsSince } from './seconds-since.ts';

const [publicHost, privateHost] = ['public.example', 'private.example'];
const tokenHost = `auth.${privateHost}`;
const [username, password] = ['reader', 'ends-soon'];
const rotationMs = 60_000;
/** From one rotation to the next, and what kubelets take. */
const passwordLifeMs = 90_000;
const core = '/api/v1/namespaces/default';
const authorityPath = `${core}/secrets/registry-mirror-ca`;
const leafPath = `${core}/secrets/registry-mirror-public-leaf`;
/** Each is pulled once: what nobody has yet needs the upstream, and a token of its own. */
const images = 150;

let world: InstalledCluster;

test.before(async (t) => {
  t.timeout(1_800_000, 'the programs and the image may have to be built first');
  world = await installedCluster({ name: 'renewals', upstreams: [publicHost, privateHost], volumes: 1 });
  for (const node of world.cluster.nodes) await lookOften(node);
  for (const host of [publicHost, privateHost])
    for (let number = 0; number < images; number += 1)
      await world.push(host, `app-${number}`, { size: 1000 });
  const address = world.freeAddress();
  world.setName(tokenHost, address);
  const who = { username, password, passwordLifeMs, publicPrefix: 'none' };
  const upstream = world.upstream(privateHost);
  await protectUpstream(world.cluster.internet, upstream, { name: tokenHost, address, ...who });
  await rotate();
  await world.mirror('public', { upstreamUrl: publicHost, nodes: { wire: 'transparent' } });
  const secrets = { credentialsSecret: 'reader', access: 'shared' };
  await world.mirror('private', { upstreamUrl: privateHost, ...secrets, nodes: { wire: 'transparent' } });
  await world.untilServing('public', 'private');
});
test.after.always(() => world?.cluster.stop());

test.serial('credentials every minute and a new authority: no pull fails, no cache restarts', async (t) => {
  t.timeout(420_000);
  const before = await cachePods();
  const agents = await podsOf('component=node-agent-shared');
  const oldLeaf = await textOf(leafPath, 'tls.crt');
  const end = new AbortController();
  const running = [pulls(publicHost, end.signal)];

  const began = Date.now();
  await world.cluster.adminFetch(authorityPath, { method: 'DELETE' });
  await eventually(
    async () => {
      const now = await podsOf('component=node-agent-shared');
      assert.equal(now.length, agents.length);
      assert.ok(now.every((pod) => !agents.includes(pod)));
    },
    { timeout: 120_000, interval: 500, message: 'Agents did not begin anew' },
  );
  await world.untilCondition('private', 'NodesWired', 'True');
  for (const name of ['public', 'private']) await untilOffered(name);
  t.log(`All agents know the new authority after ${secondsSince(began)} s`);
  running.push(rotations(end.signal), pulls(privateHost, end.signal));
  const rotated = Date.now();

  await eventually(
    async () => {
      assert.notEqual(await textOf(leafPath, 'tls.crt'), oldLeaf);
      assert.ok(signedBy(await textOf(leafPath, 'tls.crt'), await textOf(authorityPath, 'tls.crt')));
    },
    { timeout: 300_000, interval: 500, message: 'The new authority did not sign' },
  );
  t.log(`It signs after ${secondsSince(began)} s`);
  // The first credentials are over then, and kubelets have brought what was signed.
  await delay(Math.max(20_000, rotated + 2 * passwordLifeMs - Date.now()));
  end.abort();
  const [publicPulls = 0, , privatePulls = 0] = await Promise.all(running);
  t.log(`${publicPulls} and ${privatePulls} images pulled in ${secondsSince(began)} s`);
  t.true(publicPulls > 30 && privatePulls > 30);
  t.deepEqual(await cachePods(), before);
  const asked = world.blobRequests(privateHost);
  t.true(asked.length > 0 && !asked.some(isOfNode), 'nodes have no credentials');
});

/** A status may be a moment older than agents that have just begun anew. */
async function untilOffered(name: string): Promise<void> {
  const { status } = await world.getMirror(name);
  const listening = [
    'ss',
    '--listening',
    '--tcp',
    '--numeric',
    '--no-header',
    `sport = :${status?.nodePort}`,
  ];
  for (const node of world.cluster.nodes)
    await eventually(async () => assert.match(await node.run(listening), /127\.0\.0\.1/), {
      timeout: 60_000,
      message: `${name} was not offered on ${node.name}`,
    });
}

/** Pulls one image after the other on both nodes in turns until the end; returns how many. Rejects with the first that fails. */
async function pulls(host: string, end: AbortSignal): Promise<number> {
  const { nodes } = world.cluster;
  let number = 0;
  while (!end.aborted && number < images) {
    await nodes[number % nodes.length]?.pull(`${host}/app-${number}:1`);
    number += 1;
    await delay(1500);
  }
  return number;
}

async function rotations(end: AbortSignal): Promise<number> {
  let count = 0;
  while (!end.aborted) {
    await rotate();
    count += 1;
    await delay(rotationMs, undefined, { signal: end }).catch(() => undefined);
  }
  return count;
}

async function rotate(): Promise<void> {
  const files = { username, password: `${password}-${Date.now()}` };
  await world.cluster.apply({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'reader', namespace: 'default' },
    data: Object.fromEntries(Object.entries(files).map(([key, text]) => [key, btoa(text)])),
  });
}

/** Each cache pod with how often its containers were started again. */
async function cachePods(): Promise<string[]> {
  const pods = await world.cluster.pods.list({ namespace: 'default', labels: cacheLabels });
  return pods.map(({ metadata, status }) => {
    const restarts = status.containerStatuses?.map(({ restartCount }) => restartCount);
    return `${metadata.name} ${metadata.uid} ${restarts}`;
  });
}

async function podsOf(labels: string): Promise<(string | undefined)[]> {
  const pods = await world.cluster.pods.list({ namespace: 'default', labels });
  return pods.map(({ metadata }) => metadata.uid);
}

async function textOf(path: string, key: string): Promise<string> {
  const { data } = await world.cluster.adminFetch<KubeObject & { data?: Record<string, string> }>(path);
  return atob(data?.[key] ?? '');
}
