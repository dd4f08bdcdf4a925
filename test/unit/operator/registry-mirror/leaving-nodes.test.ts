import test from 'ava';
import {
  handOverLimitMs,
  leavingAnnotation,
  planLeaving,
  releaseLimitMs,
} from '../../../../src/operator/registry-mirror/leaving-nodes.ts';
import type { LiveDaemonSet } from '../../../../src/operator/registry-mirror/live-objects.ts';
import { restoreLimitMs, sinceAnnotation } from '../../../../src/operator/registry-mirror/restoration.ts';
import { agentNodeAffinity, agentNodes } from '../../../../src/resources/agent-nodes.ts';

const now = new Date('2026-01-01T00:00:00Z');
const linux = { 'kubernetes.io/os': 'linux' };
const everywhere = { nodeSelector: linux };
const poolA = { nodeSelector: { ...linux, pool: 'a' } };
const poolB = { nodeSelector: { ...linux, pool: 'b' } };

function expression(key: string, operator: string, ...values: string[]) {
  return { key, operator, values };
}

const onLinux = expression('kubernetes.io/os', 'In', 'linux');
const [notFargate, notVirtual] = agentNodes;
const notPoolA = [
  { matchExpressions: [notFargate!, onLinux, expression('pool', 'NotIn', 'a'), notVirtual!] },
];
const leftAt = (ms: number) =>
  JSON.stringify({ since: new Date(now.getTime() - ms).toISOString(), terms: notPoolA });

interface Facts {
  readonly annotations?: Record<string, string>;
  readonly status?: LiveDaemonSet['status'];
  readonly mode?: string;
}

function daemonSet(spec: object, { annotations, status, mode = 'wire' }: Facts = {}): LiveDaemonSet {
  const containers = [{ env: [{ name: 'NODE_AGENT_MODE', value: mode }] }];
  return {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: 'set', generation: 2, ...(annotations && { annotations }) },
    spec: { template: { spec: { ...spec, containers } } },
    ...(status && { status }),
  };
}

function wiring(text: string | undefined, status?: LiveDaemonSet['status']): LiveDaemonSet {
  return daemonSet(poolA, {
    ...(text && { annotations: { [leavingAnnotation]: text } }),
    ...(status && { status }),
  });
}

function restoring(text: string, sinceMs: number, ready: number): LiveDaemonSet {
  const since = new Date(now.getTime() - sinceMs).toISOString();
  const annotations = { [leavingAnnotation]: text, [sinceAnnotation]: since };
  const counts = { desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberReady: ready };
  return daemonSet({}, { annotations, status: { observedGeneration: 2, ...counts } });
}

test('No node leaves a selection that is the first, the same or a wider one', (t) => {
  t.deepEqual(planLeaving({ claims: [] }, poolA, now), { step: 'none' });
  t.deepEqual(planLeaving({ claims: [], daemonSet: daemonSet(poolA) }, poolA, now), { step: 'none' });
  t.deepEqual(planLeaving({ claims: [], daemonSet: daemonSet(poolA) }, everywhere, now), { step: 'none' });
});

test('Where the clock was set back, the wait for their agents begins anew, and ends', (t) => {
  const status = { observedGeneration: 2, numberMisscheduled: 1 };
  const live = { claims: [], daemonSet: wiring(leftAt(-3_600_000), status) };
  const plan = planLeaving(live, poolA, now);
  const since = now.toISOString();
  const checkAt = now.getTime() + releaseLimitMs;
  t.deepEqual(plan, { step: 'release', nodes: { since, terms: notPoolA }, checkAt });
});

test('Nodes that leave are released first; agents never were on others than Linux', (t) => {
  const nodes = { since: now.toISOString(), terms: notPoolA };
  for (const before of [everywhere, {}]) {
    const live = { claims: [], daemonSet: daemonSet(before) };
    t.deepEqual(planLeaving(live, poolA, now), { step: 'release', nodes });
  }
  t.deepEqual(planLeaving({ claims: [], daemonSet: daemonSet({}) }, everywhere, now), { step: 'none' });
  const none = {
    nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{}] } },
  };
  t.deepEqual(planLeaving({ claims: [], daemonSet: daemonSet({ affinity: none }) }, poolA, now), {
    step: 'none',
  });
});

test('Agents never were on nodes that cannot run them: an earlier DaemonSet that selected these leaves none', (t) => {
  for (const before of [everywhere, poolA, {}]) {
    const live = { claims: [], daemonSet: daemonSet(before) };
    const next = { nodeSelector: linux, ...before, affinity: agentNodeAffinity() };
    t.deepEqual(planLeaving(live, next, now), { step: 'none' });
  }
  const terms = [{ matchExpressions: [onLinux, expression('pool', 'NotIn', 'a')] }];
  const annotations = { [leavingAnnotation]: JSON.stringify({ since: now.toISOString(), terms }) };
  const open = { claims: [], daemonSet: daemonSet(poolA, { annotations }) };
  t.deepEqual(planLeaving(open, { ...everywhere, affinity: agentNodeAffinity() }, now), { step: 'none' });
  const live = { claims: [], daemonSet: daemonSet({ ...everywhere, affinity: agentNodeAffinity() }) };
  const nodes = { since: now.toISOString(), terms: notPoolA };
  t.deepEqual(planLeaving(live, { ...poolA, affinity: agentNodeAffinity() }, now), {
    step: 'release',
    nodes,
  });
});

test('They are restored once the agents are gone from them, or must be', (t) => {
  const live = (since: number, status: LiveDaemonSet['status']) => ({
    claims: [],
    daemonSet: wiring(leftAt(since), status),
  });
  t.like(planLeaving(live(0, { observedGeneration: 1, numberMisscheduled: 0 }), poolA, now), {
    step: 'release',
    checkAt: undefined,
  });
  t.like(planLeaving(live(0, { observedGeneration: 2, numberMisscheduled: 1 }), poolA, now), {
    step: 'release',
    checkAt: now.getTime() + releaseLimitMs,
  });
  const begun = { step: 'restore', since: now.toISOString(), checkAt: now.getTime() + restoreLimitMs };
  t.like(planLeaving(live(0, { observedGeneration: 2 }), poolA, now), begun);
  t.like(
    planLeaving(live(releaseLimitMs, { observedGeneration: 2, numberMisscheduled: 1 }), poolA, now),
    begun,
  );
});

test('Restoring that began in the future, because the clock was set back, or nobody knows when, begins now', (t) => {
  const text = leftAt(10_000);
  const unreadable = restoring(text, 0, 1);
  const annotations = { ...unreadable.metadata.annotations, [sinceAnnotation]: 'yesterday' };
  for (const restoreDaemonSet of [
    restoring(text, -3_600_000, 1),
    { ...unreadable, metadata: { ...unreadable.metadata, annotations } },
  ]) {
    const live = { claims: [], daemonSet: wiring(text, { observedGeneration: 2 }), restoreDaemonSet };
    const begun = { step: 'restore', since: now.toISOString(), checkAt: now.getTime() + restoreLimitMs };
    t.like(planLeaving(live, poolA, now), begun);
  }
});

test('Restoring goes on until all are restored or the time is up, whatever else happens to the agents', (t) => {
  const text = leftAt(10_000);
  const live = (sinceMs: number, ready: number) => ({
    claims: [],
    daemonSet: wiring(text, { observedGeneration: 1 }),
    restoreDaemonSet: restoring(text, sinceMs, ready),
  });
  t.like(planLeaving(live(5_000, 1), poolA, now), {
    step: 'restore',
    since: new Date(now.getTime() - 5_000).toISOString(),
    checkAt: now.getTime() - 5_000 + restoreLimitMs,
  });
  t.deepEqual(planLeaving(live(5_000, 2), poolA, now), { step: 'finish', unreached: false });
  t.deepEqual(planLeaving(live(restoreLimitMs, 1), poolA, now), { step: 'finish', unreached: true });
});

test('A DaemonSet that restores other nodes, or is left from a crash, has to go', (t) => {
  const settled = { observedGeneration: 2, numberMisscheduled: 1 };
  const other = restoring(leftAt(99), 0, 2);
  const live = { claims: [], daemonSet: wiring(leftAt(10), settled), restoreDaemonSet: other };
  t.is(planLeaving(live, poolA, now).step, 'release');
  const left = { claims: [], daemonSet: wiring(undefined, settled), restoreDaemonSet: other };
  t.is(planLeaving(left, poolA, now).step, 'none');
});

test('Nodes that are still open stay so when the selection changes again, but for those selected again', (t) => {
  const live = { claims: [], daemonSet: wiring(leftAt(10_000)) };
  t.deepEqual(planLeaving(live, poolB, now), {
    step: 'release',
    nodes: {
      since: now.toISOString(),
      terms: [
        { matchExpressions: [notFargate, onLinux, expression('pool', 'In', 'a'), notVirtual] },
        { matchExpressions: [notFargate, onLinux, expression('pool', 'NotIn', 'a', 'b'), notVirtual] },
      ],
    },
  });
  t.deepEqual(planLeaving(live, everywhere, now), { step: 'none' });
});

test('The nodes of a mirror that was held back are restored already, once they are', (t) => {
  const held = (numberReady: number) => {
    const status = {
      observedGeneration: 2,
      desiredNumberScheduled: 2,
      updatedNumberScheduled: 2,
      numberReady,
    };
    return { claims: [], daemonSet: daemonSet(everywhere, { mode: 'restore', status }) };
  };
  t.is(planLeaving(held(2), poolA, now).step, 'none');
  t.is(planLeaving(held(1), poolA, now).step, 'release');
});

test('When somebody deleted the DaemonSet, the one that restores tells the open nodes', (t) => {
  const live = { claims: [], restoreDaemonSet: restoring(leftAt(0), 0, 1) };
  t.like(planLeaving(live, poolA, now), { step: 'release', nodes: { terms: notPoolA } });
});

test('A record that somebody made unreadable is none; too many terms are refused', (t) => {
  for (const text of ['', '{', '{"terms":1}', '{"since":"never","terms":[]}']) {
    t.is(planLeaving({ claims: [], daemonSet: wiring(text || ' ') }, poolA, now).step, 'none');
  }
  const nodeSelectorTerms = [...'abcdefg'].map((letter) => ({
    matchExpressions: [`${letter}1`, `${letter}2`].map((key) => ({ key, operator: 'Exists' })),
  }));
  const affinity = {
    nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } },
  };
  t.deepEqual(planLeaving({ claims: [], daemonSet: daemonSet(everywhere) }, { affinity }, now), {
    step: 'refuse',
  });
});

test('Nodes that the agents of all mirrors wired are restored once those know of it, at the latest after five minutes', (t) => {
  const live = (ms: number) => ({
    claims: [],
    daemonSet: wiring(leftAt(ms), { observedGeneration: 2, numberMisscheduled: 0 }),
  });
  const asked: number[] = [];
  const wire = (since: number) => asked.push(since) > 0;
  const plan = (ms: number, othersWire: (since: number) => boolean) =>
    planLeaving(live(ms), poolA, now, othersWire).step;
  t.is(plan(2_000, wire), 'release');
  t.deepEqual(asked, [now.getTime() - 2_000], 'what they said before they were told is nothing');
  t.is(
    plan(2_000, () => false),
    'restore',
  );
  t.is(plan(handOverLimitMs, wire), 'restore');
});
