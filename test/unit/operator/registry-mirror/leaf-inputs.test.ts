import test from 'ava';
import { createAuthority } from '../../../../src/cache/tls/authority.ts';
import { inspectCertificate } from '../../../../src/cache/tls/certificate.ts';
import type { KubeClient } from '../../../../src/kube/client.ts';
import { createLogger } from '../../../../src/observe/log.ts';
import { type Authority, authorityMark } from '../../../../src/operator/certificates/authority-secret.ts';
import {
  isSignedBy,
  newLeaf,
  nodeIdentity,
  replicaIdentity,
  spreadMs,
} from '../../../../src/operator/certificates/leaf.ts';
import { agentsTrust, nodesBehind } from '../../../../src/operator/registry-mirror/agent-trust.ts';
import {
  type LeafQuestion,
  leafInputs,
  podsFollowMs,
} from '../../../../src/operator/registry-mirror/leaf-inputs.ts';
import type { LiveDaemonSet, LiveObjects } from '../../../../src/operator/registry-mirror/live-objects.ts';
import type { Leaf } from '../../../../src/resources/secret.ts';

const renewedAt = new Date('2026-01-01T00:00:00Z');
const later = (ms: number) => new Date(renewedAt.getTime() + ms);
const dayMs = 86_400_000;
const names = ['hub.example'];
const identity = replicaIdentity('hub');
const logger = createLogger({ level: 'silent' });

async function authorityAt(now: Date): Promise<Authority> {
  return { ...(await createAuthority({ commonName: 'test', days: 3650, now })), previous: [] };
}

/** An authority that was just renewed, a leaf of the one before, and what exists of a mirror with both. */
async function renewal() {
  const former = await authorityAt(later(-2500 * dayMs));
  const authority = { ...(await authorityAt(renewedAt)), previous: [former.certificatePem], former };
  const leaf = await newLeaf({ identity, names, authority: former, renewedSigns: true, now: later(-dayMs) });
  const since = `${authorityMark(authority)} ${renewedAt.toISOString()}`;
  const bundle = [authority.certificatePem, former.certificatePem].join('');
  const live = (mark: string, ready: number, served: Leaf = leaf, annotations = {}): LiveObjects => ({
    leafSecret: secret(
      { 'tls.crt': served.certificate, 'tls.key': served.key, 'ca.crt': served.ca },
      annotations,
    ),
    configSecret: secret({ 'ca.crt': bundle }, { 'k8s.osp.tech/authority-since': since }),
    daemonSet: agents(mark, { desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberReady: ready }),
    claims: [],
  });
  return { former, authority, leaf, live, mark: authorityMark(authority) };
}

function secret(files: Record<string, string>, annotations: Record<string, string> = {}) {
  const data = Object.entries(files).map(([key, text]) => [key, Buffer.from(text).toString('base64')]);
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 's', annotations },
    data: Object.fromEntries(data),
  };
}

function agents(mark: string, status: object, generation = 2): LiveDaemonSet {
  return {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: 'd', generation },
    spec: { template: { metadata: { annotations: { 'k8s.osp.tech/authority': mark } } } },
    status: { observedGeneration: 2, ...status },
  };
}

function ask(authority: Authority, live: LiveObjects, now: Date, asked: string[] = []) {
  const nodes = async (mark: string) => {
    asked.push(mark);
    return 'node-a';
  };
  const mirror = { metadata: { name: 'hub' } };
  const question: LeafQuestion = { mirror, live, authority, now, logger, nodesBehind: nodes };
  return leafInputs(question, names);
}

test('Agents trust an authority when all were started with it and are ready', (t) => {
  const all = { desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberReady: 2 };
  t.true(agentsTrust(agents('m', all), 'm'));
  t.true(agentsTrust(agents('m', {}), 'm'), 'no node is selected');
  t.false(agentsTrust(agents('other', all), 'm'));
  t.false(agentsTrust(agents('m', { ...all, numberReady: 1 }), 'm'));
  t.false(agentsTrust(agents('m', { ...all, updatedNumberScheduled: 1 }), 'm'));
  t.false(agentsTrust(agents('m', all, 3), 'm'), 'its controller has not seen it yet');
  t.false(agentsTrust(undefined, 'm'));
});

test('Of the nodes are named those whose agent is not ready, or is an old one', async (t) => {
  const pod = (nodeName: string, mark: string, status: string) => ({
    metadata: { annotations: { 'k8s.osp.tech/authority': mark } },
    spec: { nodeName },
    status: { conditions: [{ type: 'Ready', status }] },
  });
  const place = { namespace: 'mirrors', mirror: 'hub', component: 'nodes', mark: 'm' } as const;
  const { signal } = new AbortController();
  const named = (items: object[]) => {
    const client = { listAll: async () => ({ items }) } as unknown as KubeClient;
    return nodesBehind(client, place, signal);
  };
  t.is(await named([pod('b', 'm', 'False'), pod('a', 'old', 'True'), pod('c', 'm', 'True')]), 'a, b');
  const many = Array.from({ length: 12 }, (_, index) => pod(`n${10 + index}`, 'm', 'False'));
  t.regex(await named(many), /^n10, .*n19 and 2 more$/);
  const failing = { listAll: () => Promise.reject(new Error('forbidden')) } as unknown as KubeClient;
  t.is(await nodesBehind(failing, place, signal), 'unknown');
});

test('A leaf stays while agents are awaited, and both authorities are trusted', async (t) => {
  const { authority, former, leaf, live, mark } = await renewal();
  for (const objects of [live('old', 2), live(mark, 1)]) {
    const asked: string[] = [];
    const inputs = await ask(authority, objects, later(1_000), asked);
    t.is(inputs.leaf.certificate, leaf.certificate);
    t.like(inputs.renewal, { state: 'waiting' });
    t.deepEqual(asked, []);
    t.true(
      inputs.trusted.includes(authority.certificatePem) && inputs.trusted.includes(former.certificatePem),
    );
    t.true(inputs.checkAt <= later(spreadMs).getTime());
  }
});

test('The wait counts from when the mirror’s nodes were given the authority, however old that is', async (t) => {
  const { authority, live, leaf, mark } = await renewal();
  const unknown = { ...live(mark, 1), configSecret: secret({}) };
  const at = later(10 * dayMs);
  const first = await ask(authority, unknown, at);
  t.is(first.leaf.certificate, leaf.certificate);
  t.is(first.authoritySince, `${mark} ${at.toISOString()}`);
  t.is(first.checkAt, at.getTime() + podsFollowMs);
  const since = secret({}, { 'k8s.osp.tech/authority-since': first.authoritySince ?? '' });
  const next = await ask(authority, { ...unknown, configSecret: since }, new Date(first.checkAt));
  t.is(next.checkAt, at.getTime() + spreadMs);
  for (const strange of ['', `other ${renewedAt.toISOString()}`, `${mark} nonsense`, `${mark} 2036-01-01`]) {
    const annotations = { 'k8s.osp.tech/authority-since': strange };
    const again = await ask(authority, { ...unknown, configSecret: secret({}, annotations) }, at);
    t.is(again.authoritySince, first.authoritySince, strange);
  }
});

test('The leaf changes when all agents are there; the old authority goes when pods have followed', async (t) => {
  const { authority, former, live, mark } = await renewal();
  const asked: string[] = [];
  const changed = await ask(authority, live(mark, 2), later(podsFollowMs), asked);
  t.true(isSignedBy(changed.leaf, authority));
  t.is(changed.renewal, undefined);
  t.deepEqual(asked, [], 'no request');
  t.true(changed.trusted.includes(former.certificatePem));
  t.true(
    changed.checkAt <= later(podsFollowMs + spreadMs).getTime(),
    'looked at again to let the old one go',
  );

  const after = await ask(authority, live(mark, 2, changed.leaf), later(podsFollowMs + spreadMs));
  t.is(after.leaf.certificate, changed.leaf.certificate);
  t.false(after.trusted.includes(former.certificatePem));
});

test('An authority that a person replaced is trusted as long, though its Secret names no former one', async (t) => {
  const { authority: renewed, former, live, mark } = await renewal();
  const { former: _key, ...authority } = { ...renewed, previous: [] };
  const changed = await ask(authority, live(mark, 2), later(podsFollowMs));
  t.true(changed.trusted.includes(former.certificatePem));
  const soon = await ask(authority, live(mark, 2, changed.leaf), later(podsFollowMs + 60_000));
  t.true(soon.trusted.includes(former.certificatePem));
  const after = await ask(authority, live(mark, 2, changed.leaf), later(podsFollowMs + spreadMs));
  t.deepEqual(after.trusted, [authority.certificatePem]);
});

test('A leaf that is renewed years later brings no former authority back', async (t) => {
  const { authority, live, mark, former } = await renewal();
  const leaf = await newLeaf({ identity, names, authority, renewedSigns: true, now: renewedAt });
  const objects = { ...live(mark, 2, leaf), configSecret: secret({ 'ca.crt': authority.certificatePem }) };
  const inputs = await ask(authority, objects, later(300 * dayMs));
  t.not(inputs.leaf.certificate, leaf.certificate);
  t.false(inputs.trusted.includes(former.certificatePem));
});

test('After the wait the leaf changes; nodes that are behind are asked for once and remembered', async (t) => {
  const { authority, live, mark } = await renewal();
  const asked: string[] = [];
  const late = await ask(authority, live(mark, 1), later(spreadMs), asked);
  t.true(isSignedBy(late.leaf, authority));
  t.deepEqual(late.renewal, { state: 'behind', nodes: 'node-a' });
  t.deepEqual(asked, [mark]);

  const remembered = { 'k8s.osp.tech/agents-behind': 'node-a' };
  const next = await ask(authority, live(mark, 1, late.leaf, remembered), later(spreadMs + 1_000), asked);
  t.deepEqual(next.renewal, { state: 'behind', nodes: 'node-a' });
  t.is(asked.length, 1);
  const done = await ask(authority, live(mark, 2, late.leaf, remembered), later(spreadMs + 2_000), asked);
  t.is(done.renewal, undefined);
});

test('A new mirror needs no wait; one whose Secret was lost gets a leaf that its nodes trust', async (t) => {
  const { authority, former, live, mark } = await renewal();
  const fresh = await ask(authority, { claims: [] }, later(1_000));
  t.true(isSignedBy(fresh.leaf, authority));
  const { leafSecret: _lost, ...rest } = live(mark, 1);
  const again = await ask(authority, rest, later(1_000));
  t.true(isSignedBy(again.leaf, former));
});

test('However quick the agents are, the leaf waits until the pods have read which authorities to trust', async (t) => {
  const { authority, leaf, live, mark } = await renewal();
  const early = await ask(authority, live(mark, 2), later(podsFollowMs - 1));
  t.is(early.leaf.certificate, leaf.certificate);
  t.is(early.checkAt, later(podsFollowMs).getTime(), 'no event tells the time');
});

test('Replicas with the old leaf and with the new one trust each other all through a rotation', async (t) => {
  const { authority, leaf, live, mark } = await renewal();
  const before = await ask(authority, live(mark, 2), later(1_000));
  const changed = await ask(authority, live(mark, 2), later(podsFollowMs));
  const trusts = (pems: readonly string[], certificate: string) =>
    pems.some((pem) => isSignedBy({ certificate, key: '', ca: '' }, { ...authority, certificatePem: pem }));
  for (const { trusted } of [before, changed]) {
    t.true(trusts(trusted, leaf.certificate) && trusts(trusted, changed.leaf.certificate));
  }
});

test('A leaf of an earlier version, which no replica would be let in with, is made anew once', async (t) => {
  const { authority, live, mark } = await renewal();
  const server = { commonName: 'registry-mirror', usages: ['serverAuth'] } as const;
  const earlier = await newLeaf({ identity: server, names, authority, renewedSigns: true, now: renewedAt });
  const again = await ask(authority, live(mark, 2, earlier), later(podsFollowMs));
  t.like(inspectCertificate(again.leaf.certificate), replicaIdentity('hub'));
  const kept = await ask(authority, live(mark, 2, again.leaf), later(podsFollowMs + 1_000));
  t.is(kept.leaf.certificate, again.leaf.certificate);
});

test('Every mirror’s node agents have a certificate by their own name, for both sides; it turns with the leaf', async (t) => {
  const { authority, former, leaf, live, mark } = await renewal();
  const askAt = (objects: LiveObjects, ms: number) => ask(authority, objects, later(ms));
  const { client } = await askAt(live(mark, 2), 1_000);
  t.like(inspectCertificate(client.certificate), {
    commonName: 'registry-mirror-hub.node',
    names: ['registry-mirror-hub.node'],
    usages: ['serverAuth', 'clientAuth'],
  });
  t.true(isSignedBy(client, { ...authority, ...former }), 'not sooner than the leaf');
  const clientSecret = secret({ 'tls.crt': client.certificate, 'tls.key': client.key, 'ca.crt': client.ca });
  const still = await askAt({ ...live(mark, 2), clientSecret }, 2_000);
  t.is(still.client.certificate, client.certificate);
  const turned = await askAt({ ...live(mark, 2, leaf), clientSecret }, podsFollowMs);
  t.true(isSignedBy(turned.client, authority));
});

test('A pair of an earlier version, which no agent could serve with, is made anew once', async (t) => {
  const { authority, live, mark } = await renewal();
  const earlier = { commonName: 'registry-mirror-hub.node', usages: ['clientAuth'] } as const;
  const { certificate, key, ca } = await newLeaf({
    identity: earlier,
    names: [],
    authority,
    renewedSigns: true,
    now: renewedAt,
  });
  const clientSecret = secret({ 'tls.crt': certificate, 'tls.key': key, 'ca.crt': ca });
  const { client } = await ask(authority, { ...live(mark, 2), clientSecret }, later(podsFollowMs));
  t.like(inspectCertificate(client.certificate), nodeIdentity('hub'));
});
