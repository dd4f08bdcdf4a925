/** Stands in for node agents: a real TLS server by the operator's authority, whose words a test chooses. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { PeerCertificate, TLSSocket } from 'node:tls';
import type { ExecutionContext } from 'ava';
import type { MirrorOnNode, NodeReport } from '../../src/api/node-report.ts';
import { createAuthority, issueLeaf, type KeyPair } from '../../src/cache/tls/authority.ts';

export interface AgentServer {
  readonly address: string;
  readonly port: number;
  /** What `GET /status` answers; a text is sent as it is. */
  says: NodeReport | string;
  /** The answer to `POST /restart`. */
  restartStatus: number;
  /** Never answers. */
  silent: boolean;
  /** Common names of who asked, in order. */
  readonly callers: string[];
  /** Bodies of `POST /restart`. */
  readonly restarts: unknown[];
  /** The same of `POST /list`. */
  listStatus: number;
  readonly lists: unknown[];
}

export interface AgentServerOptions {
  readonly authority: Pick<KeyPair, 'certificatePem'> & Partial<KeyPair>;
  /** What its certificate says; by default that of mirror `hub`'s agents. */
  readonly names?: readonly string[];
  /** Its certificate, where that is made by somebody else. */
  readonly pair?: KeyPair;
  readonly address?: string;
  readonly port?: number;
  readonly says?: NodeReport | string;
}

/** An authority as the operator makes one. */
export function makeOperatorAuthority(): Promise<KeyPair> {
  return createAuthority({ commonName: 'registry-mirror-operator', days: 30 });
}

/** Starts one; it ends with the test. */
export async function startAgentServer(
  t: Pick<ExecutionContext, 'teardown'>,
  { authority, names = ['registry-mirror-hub.node'], address = '127.0.0.1', ...options }: AgentServerOptions,
): Promise<AgentServer> {
  const pair = options.pair ?? (await issuePair(authority as KeyPair, names));
  const server = createServer({
    ...{ cert: pair.certificatePem, key: pair.keyPem, ca: authority.certificatePem },
    requestCert: true,
    rejectUnauthorized: true,
  });
  const agent: AgentServer & { port: number } = {
    address,
    port: 0,
    says: options.says ?? nodeReport(),
    restartStatus: 202,
    listStatus: 202,
    silent: false,
    callers: [],
    restarts: [],
    lists: [],
  };
  server.on('request', async (request, response) => {
    agent.callers.push(callerOf(request));
    if (agent.silent) return;
    if (request.method === 'POST') {
      const isList = request.url === '/list';
      (isList ? agent.lists : agent.restarts).push(JSON.parse(await textOf(request)));
      response.writeHead(isList ? agent.listStatus : agent.restartStatus).end();
      return;
    }
    response.end(typeof agent.says === 'string' ? agent.says : JSON.stringify(agent.says));
  });
  server.listen(options.port ?? 0, address);
  await once(server, 'listening');
  t.teardown(() => server.closeAllConnections());
  t.teardown(() => server.close());
  return Object.assign(agent, { port: (server.address() as AddressInfo).port });
}

function issuePair(authority: KeyPair, names: readonly string[]): Promise<KeyPair> {
  const commonName = names[0] ?? '';
  return issueLeaf(authority, { names, days: 1, commonName, usages: ['serverAuth', 'clientAuth'] });
}

/** A node on which the mirror `hub` is wired, but for what is said otherwise. */
export function nodeReport(mirror: Partial<MirrorOnNode> = {}, node = 'node-a'): NodeReport {
  return { node, at: '2026-01-01T00:00:00Z', mode: 'wire', mirrors: [mirrorOnNode(mirror)] };
}

/** The mirror `hub`, wired. */
export function mirrorOnNode(mirror: Partial<MirrorOnNode> = {}): MirrorOnNode {
  const containerd = { runtime: 'containerd', found: true, wired: true, live: true } as const;
  return {
    name: 'hub',
    complete: true,
    forwarder: { port: 29_001, offered: true, reason: 'Answers', detail: '', connections: 0, bytes: 0 },
    runtimes: [{ ...containerd, reason: '', message: '' }],
    findings: [],
    ...mirror,
  };
}

/** The pod of the mirror `hub`'s agent on a node, as the API server has it. */
export function agentPod(
  node: string,
  { address, port }: { address?: string; port?: number } = {},
  { labels = {}, metadata = {}, ready = true }: { labels?: object; metadata?: object; ready?: boolean } = {},
) {
  const env = port === undefined ? [] : [{ name: 'NODE_PORT', value: String(port) }];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `hub-${node}`,
      namespace: 'default',
      uid: node,
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
      labels: { app: 'docker-registry', component: 'hostess-certificate', mirror: 'hub', ...labels },
      ...metadata,
    },
    spec: { nodeName: node, containers: [{ name: 'mirror-hostess', image: 'none', env }] },
    status: {
      ...(address !== undefined && { hostIP: address, hostIPs: [{ ip: address }] }),
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    },
  };
}

function callerOf({ socket }: IncomingMessage): string {
  const { subject } = (socket as TLSSocket).getPeerCertificate() as Partial<PeerCertificate>;
  return String(subject?.CN ?? '');
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
