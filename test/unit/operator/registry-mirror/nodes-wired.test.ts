import test from 'ava';
import type { NodesSummary } from '../../../../src/operator/node-reports/summary.ts';
import type { LiveDaemonSet, LiveObjects } from '../../../../src/operator/registry-mirror/live-objects.ts';
import { nodesText, nodesWired } from '../../../../src/operator/registry-mirror/nodes-wired.ts';

const metadata = { name: 'registry-mirror-hub', namespace: 'default', generation: 2 };

function nodes(status: NonNullable<LiveDaemonSet['status']>): LiveObjects {
  return { daemonSet: { apiVersion: 'apps/v1', kind: 'DaemonSet', metadata, status }, claims: [] };
}

test('Nodes are wired when every one has made a pass with the newest agent', (t) => {
  t.like(nodesWired({ claims: [] }), { status: 'Unknown', reason: 'NotCreated' });
  t.like(nodesWired(nodes({ observedGeneration: 1 })), { status: 'Unknown', reason: 'RolloutPending' });
  const seen = { observedGeneration: 2, desiredNumberScheduled: 3 };
  t.like(nodesWired(nodes({ observedGeneration: 2 })), { status: 'True', reason: 'NoNodeSelected' });
  t.like(nodesWired(nodes({ ...seen, numberReady: 3, updatedNumberScheduled: 1 })), { reason: 'RollingOut' });
  t.like(nodesWired(nodes({ ...seen, numberReady: 2, updatedNumberScheduled: 3 })), {
    reason: 'NodesNotReady',
  });
  t.like(nodesWired(nodes({ ...seen, numberReady: 3, updatedNumberScheduled: 3 })), { reason: 'Wired' });
});

test('Nodes that left are told beside those that are wired', (t) => {
  const seen = { observedGeneration: 2, desiredNumberScheduled: 3 };
  const wired = nodes({ ...seen, numberReady: 3, updatedNumberScheduled: 3 });
  const told = (status: NonNullable<LiveDaemonSet['status']>) =>
    nodesWired({ ...wired, restoreDaemonSet: { ...(wired.daemonSet as LiveDaemonSet), status } }).message;
  t.is(told({}), '3 of 3 nodes are wired; nodes that left are being restored');
  t.is(told(seen), '3 of 3 nodes are wired; 3 nodes are being restored');
  t.is(nodesWired(wired).message, '3 of 3 nodes are wired');
});

/** What `selected` nodes come to, all of which are wired and live but for what is said. */
function told(
  selected: number,
  said: Partial<NodesSummary> = {},
  { wire = 'transparent', updated = selected }: { wire?: 'alias' | 'transparent'; updated?: number } = {},
) {
  const status = { observedGeneration: 2, desiredNumberScheduled: selected, numberReady: selected };
  const live = nodes({ ...status, updatedNumberScheduled: updated });
  const summary = { heard: selected, wired: selected, unreachable: [], causes: [], notLive: [], ...said };
  const { status: is, reason, message } = nodesWired(live, { summary, wire });
  return { is: `${is} ${reason}`, message, count: nodesText(live.daemonSet, summary) };
}

const many = (count: number) => Array.from({ length: count }, (_, index) => `n${index}`);

test('Once agents tell, wired is what they say, not that their pods are ready', (t) => {
  t.deepEqual(told(50), { is: 'True Wired', message: '50/50 nodes wired', count: '50/50' });
  const silent = told(50, { heard: 0, wired: 0 });
  t.is(silent.message, '0/50 nodes wired; 50 x no report yet');
  t.is(silent.is, 'False NodesNotReady');
});

test('Why nodes are not wired is counted, and few nodes are named', (t) => {
  const causes = [
    { text: 'config_path unset', nodes: many(4) },
    { text: 'foreign hosts.toml', nodes: ['a'] },
  ];
  t.deepEqual(told(50, { wired: 45, causes }), {
    is: 'False NodesNotWired',
    message: '45/50 nodes wired; 4 x config_path unset, 1 x foreign hosts.toml (a)',
    count: '45/50',
  });
});

test('Of many causes five are told, and how many more there are', (t) => {
  const causes = many(7).map((text) => ({ text, nodes: ['a'] }));
  const { message } = told(50, { wired: 49, causes });
  t.regex(message, /1 x n0 \(a\), .*1 x n4 \(a\) and 2 more$/);
});

test('Nodes that cannot be reached are told among the causes, and are the reason where nothing else is', (t) => {
  const unreachable = ['a', 'b'];
  const only = told(50, { heard: 48, wired: 48, unreachable });
  t.is(only.is, 'False Unreachable');
  t.is(only.message, '48/50 nodes wired; 2 x unreachable (a, b)');
  const causes = [{ text: 'config_path unset', nodes: ['c'] }];
  const both = told(50, { heard: 48, wired: 47, unreachable, causes });
  t.is(both.is, 'False NodesNotWired');
  t.is(both.message, '47/50 nodes wired; 2 x unreachable (a, b), 1 x config_path unset (c)');
});

test('Nodes that have not told yet are waited for', (t) => {
  const { is, message } = told(50, { heard: 49, wired: 49 });
  t.is(is, 'False NodesNotReady');
  t.is(message, '49/50 nodes wired; 1 x no report yet');
});

test('Where names of the upstream are wired, nodes that would not ask the mirror are told; an alias asks nothing of them', (t) => {
  const notLive = ['a', 'b', 'c'];
  const silent = told(50, { notLive });
  t.is(silent.is, 'False NothingLive');
  t.is(silent.message, '50/50 nodes wired; on 3 nodes (a, b, c) no pull reaches the mirror');
  t.is(told(50, { notLive }, { wire: 'alias' }).is, 'True Wired');
});

test('While agents are replaced, that is the reason, and what is known is told', (t) => {
  const causes = [{ text: 'config_path unset', nodes: ['c'] }];
  const { is, message } = told(50, { wired: 49, causes }, { updated: 5 });
  t.is(is, 'False RollingOut');
  t.is(message, '49/50 nodes wired, 5 by the newest agent; 1 x config_path unset (c)');
});
