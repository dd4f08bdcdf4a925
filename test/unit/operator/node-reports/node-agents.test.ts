import test from 'ava';
import { nodeAgents } from '../../../../src/operator/node-reports/node-agents.ts';
import { agentPod } from '../../../support/agent-server.ts';

const at = { address: '10.0.0.1', port: 29_001 };

test('An agent is asked at its node’s address and its own port, by the name of its mirror', (t) => {
  const metadata = { annotations: { 'k8s.osp.tech/authority': 'mark' } };
  t.deepEqual(nodeAgents([agentPod('node-a', at, { metadata })], 29_000), [
    {
      pod: 'hub-node-a',
      version: 'node-a 1',
      node: 'node-a',
      mirror: 'hub',
      ready: true,
      createdAt: Date.parse('2026-01-01T00:00:00Z'),
      endpoint: { ...at, serverName: 'registry-mirror-hub.node', authority: 'mark' },
    },
  ]);
});

test('An agent that wires all mirrors is asked at the first port, and is no mirror’s', (t) => {
  const labels = { component: 'node-agent-shared', mirror: undefined };
  const [agent] = nodeAgents([agentPod('node-a', { address: 'fd00::1' }, { labels })], 29_000);
  t.is(agent?.mirror, undefined);
  t.deepEqual(agent?.endpoint, { address: 'fd00::1', port: 29_000, serverName: 'registry-mirror.node' });
});

test('An agent without an address yet, or of a version that has no port, is there and cannot be asked', (t) => {
  for (const where of [{ port: 29_001 }, { address: '10.0.0.1' }]) {
    const [agent] = nodeAgents([agentPod('node-a', where)], 29_000);
    t.is(agent?.node, 'node-a');
    t.is(agent?.endpoint, undefined);
  }
});

test('Pods that end, are not scheduled or wire nothing are no agents', (t) => {
  const pods = [
    agentPod('a', at, { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } }),
    { ...agentPod('b', at), status: { phase: 'Failed', hostIP: '10.0.0.1' } },
    { ...agentPod('c', at), spec: {} },
    agentPod('d', at, { labels: { component: 'registry' } }),
    agentPod('e', at, { labels: { mirror: undefined } }),
  ];
  t.deepEqual(nodeAgents(pods, 29_000), []);
});

test('Agents come by name, whatever the order of the list', (t) => {
  const pods = ['c', 'a', 'b'].map((node) => agentPod(node, at));
  t.deepEqual(
    nodeAgents(pods, 29_000).map(({ node }) => node),
    ['a', 'b', 'c'],
  );
});
