/**
 * A scripted kubelet: the API server proxies `pods/exec` to it. A node that declares the feature
 * `ExtendWebSocketsToKubelet` (1.36) gets the client's WebSocket as it is; others get SPDY, which nothing here speaks.
 */
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { ExecutionContext } from 'ava';
import { createAuthority, issueLeaf } from '../../src/cache/tls/authority.ts';
import type { ControlPlane } from './control-plane.ts';
import { acceptWebSocket } from './web-socket-server.ts';

/** One exec as the kubelet sees it. */
export interface KubeletExec {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly command: readonly string[];
  readonly stdin: boolean;
  readonly protocol: string;
  stdout(data: string | Buffer): void;
  stderr(data: string | Buffer): void;
  /** Tells the exit code and closes. */
  exit(code: number): void;
  /** Tells any Status and closes. */
  status(status: object): void;
  /** Ends the connection without a word. */
  cut(): void;
  /** Resolves when the client, or the API server between, has ended the connection. */
  readonly gone: Promise<void>;
}

export interface TestKubelet {
  readonly port: number;
  /** Every exec so far. */
  readonly execs: KubeletExec[];
  /** What is done with the next ones. */
  run: (exec: KubeletExec) => void;
  /** The subprotocols it knows, the preferred one first. */
  protocols: string[];
}

/** Starts a kubelet on 127.0.0.1 that leaves each exec running; ends with the test. */
export async function startKubelet(t: Pick<ExecutionContext, 'teardown'>): Promise<TestKubelet> {
  const authority = await createAuthority({ commonName: 'kubelet', days: 1 });
  const leaf = await issueLeaf(authority, { names: ['127.0.0.1'], days: 1 });
  const server = createServer({ cert: leaf.certificatePem, key: leaf.keyPem });
  const kubelet: TestKubelet & { port: number } = {
    port: 0,
    execs: [],
    run: () => undefined,
    protocols: ['v5.channel.k8s.io', 'v4.channel.k8s.io'],
  };
  server.on('upgrade', (request, connection) => {
    const asked = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
    const protocol = kubelet.protocols.find((name) => asked.includes(name));
    if (protocol === undefined) {
      connection.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    const url = new URL(request.url ?? '', 'https://kubelet');
    const [, , namespace = '', pod = '', container = ''] = url.pathname.split('/');
    const socket = acceptWebSocket(request, connection, protocol);
    const send = (channel: number, data: string | Buffer) =>
      socket.send(Buffer.concat([Buffer.from([channel]), Buffer.from(data)]));
    const exec: KubeletExec = {
      namespace,
      pod,
      container,
      command: url.searchParams.getAll('command'),
      stdin: url.searchParams.get('input') === '1',
      protocol,
      stdout: (data) => send(1, data),
      stderr: (data) => send(2, data),
      exit: (code) => exec.status(exitStatus(code)),
      status(status) {
        send(3, JSON.stringify(status));
        socket.close();
      },
      cut: socket.cut,
      gone: socket.ended,
    };
    // As wsstream does: an empty message on each channel of the server's.
    for (const channel of [1, 2, 3]) send(channel, '');
    kubelet.execs.push(exec);
    kubelet.run(exec);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const connections = new Set<{ destroy(): void }>();
  server.on('secureConnection', (connection) => {
    connections.add(connection);
    connection.once('close', () => connections.delete(connection));
  });
  t.teardown(() => {
    server.close();
    for (const connection of connections) connection.destroy();
  });
  return Object.assign(kubelet, { port: (server.address() as AddressInfo).port });
}

/** What the kubelet's container runtime tells: nothing for 0, else a Failure with the code as a cause. */
function exitStatus(code: number): object {
  if (code === 0) return { metadata: {}, status: 'Success' };
  return {
    metadata: {},
    status: 'Failure',
    reason: 'NonZeroExitCode',
    message: `command terminated with non-zero exit code: exit status ${code}`,
    details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
  };
}

/** Makes a node whose kubelet this is; `features` are what it declares. */
export async function addNode(
  plane: ControlPlane,
  name: string,
  { port }: { port: number },
  features: readonly string[] = ['ExtendWebSocketsToKubelet'],
): Promise<void> {
  await plane.apply({ apiVersion: 'v1', kind: 'Node', metadata: { name } });
  await patchStatus(plane, `/api/v1/nodes/${name}`, {
    addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
    daemonEndpoints: { kubeletEndpoint: { Port: port } },
    declaredFeatures: features,
  });
}

/** Makes a pod bound to a node, in a phase. */
export async function addPod(
  plane: ControlPlane,
  pod: { name: string; namespace?: string; node?: string; labels?: Record<string, string>; phase?: string },
): Promise<void> {
  const { name, namespace = 'default', node, labels = {}, phase = 'Running' } = pod;
  await plane.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels },
    spec: {
      ...(node !== undefined && { nodeName: node }),
      containers: ['registry', 'broker'].map((container) => ({ name: container, image: 'none' })),
    },
  });
  const containerStatuses = ['registry', 'broker'].map((container) => ({
    name: container,
    image: 'none',
    imageID: '',
    ready: phase === 'Running',
    restartCount: 0,
    state: phase === 'Running' ? { running: {} } : { waiting: { reason: 'ContainerCreating' } },
  }));
  await patchStatus(plane, `/api/v1/namespaces/${namespace}/pods/${name}`, { phase, containerStatuses });
}

async function patchStatus(plane: ControlPlane, path: string, status: object): Promise<void> {
  await plane.adminFetch(`${path}/status`, {
    method: 'PATCH',
    contentType: 'application/merge-patch+json',
    body: { status },
  });
}
