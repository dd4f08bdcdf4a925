/** Nodes for tests, as one mirror sees them. */
import type { MirrorOnNode } from '../../../../src/api/node-report.ts';
import type { NodeOfMirror } from '../../../../src/operator/node-reports/known-agents.ts';
import { nodeAgents } from '../../../../src/operator/node-reports/node-agents.ts';
import { agentPod, mirrorOnNode } from '../../../support/agent-server.ts';

/** A node that told of the mirror `hub`: wired, but for what is said otherwise. */
export function heard(node: string, mirror: Partial<MirrorOnNode> = {}): NodeOfMirror {
  return { ...unheard(node), state: 'heard', report: mirrorOnNode(mirror), reportedAt: 0 };
}

/** A node whose agent has not told. */
export function unheard(node: string, state: 'unheard' | 'unreachable' = 'unheard'): NodeOfMirror {
  const [agent] = nodeAgents([agentPod(node)], 29_000);
  return { node, agent: agent!, state };
}
