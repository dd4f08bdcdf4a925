/** The bare server and the webhook as processes of their own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { imageMaps, namespaces } from '../../src/rewriting/resource-types.ts';
import { kubeconfig } from '../../test/kubernetes/kube-config.ts';
import { eventually } from '../../test/support/eventually.ts';
import { startFakeApiServer } from '../../test/support/fake-api-server.ts';
import { namespace, registries } from './pod-review.ts';

export interface RunningServer {
  readonly port: number;
  readonly pid: number;
}

export interface Servers extends AsyncDisposable {
  readonly bare: RunningServer;
  readonly webhook: RunningServer;
}

export const executable = fileURLToPath(new URL('../../bin/registry-mirror-operator', import.meta.url));
const bareScript = fileURLToPath(new URL('bare-server.ts', import.meta.url));

/** Starts both. The rules are a map's; the API server only has to list what they are made from. */
export async function startServers(
  folder: string,
  { certFile, keyFile }: { certFile: string; keyFile: string },
  ports: readonly number[],
): Promise<Servers> {
  const [barePort = 0, webhookPort = 0] = ports;
  await using started = new AsyncDisposableStack();
  const api = await startFakeApiServer([namespaces, imageMaps]);
  started.defer(() => api.stop());
  const labels = { 'k8s.twr.io/imageswap': 'enabled' };
  api.state.create(namespaces, {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace, labels },
  });
  const environment = await webhookEnvironment(folder, api.url, webhookPort);
  const bare = launch(
    process.execPath,
    [bareScript, String(barePort), certFile, keyFile],
    {},
    join(folder, 'bare.log'),
  );
  started.defer(() => end(bare));
  const webhook = launch(executable, ['webhook'], environment, join(folder, 'webhook.log'));
  started.defer(() => end(webhook));
  for (const port of [barePort, webhookPort]) await listening(port);
  const all = started.move();
  return {
    bare: { port: barePort, pid: pidOf(bare) },
    webhook: { port: webhookPort, pid: pidOf(webhook) },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

async function webhookEnvironment(
  folder: string,
  apiUrl: string,
  port: number,
): Promise<Record<string, string>> {
  const file = (name: string) => join(folder, name);
  await mkdir(file('pair'), { recursive: true });
  await copyFile(file('tls.crt'), file('pair/tls.crt'));
  await copyFile(file('tls.key'), file('pair/tls.key'));
  await writeFile(file('kubeconfig'), kubeconfig(apiUrl, '', { token: 'none' }));
  await writeFile(
    file('maps.conf'),
    `default::\n${registries.rewritten}::mirror.example/hub\nghcr.io::mirror.example/gh\n`,
  );
  return {
    KUBECONFIG: file('kubeconfig'),
    IMAGESWAP_MAPS_FILE: file('maps.conf'),
    WEBHOOK_PORT: String(port),
    WEBHOOK_CERTIFICATE_DIR: file('pair'),
    WEBHOOK_DRAIN_SECONDS: '0',
    HTTP_PORT: '0',
  };
}

/** Starts a program that ends with us, however we end. */
export function launch(
  program: string,
  args: readonly string[],
  env: Record<string, string>,
  logFile: string,
): ChildProcess {
  const log = openSync(logFile, 'a');
  return spawn('setpriv', ['--pdeathsig', 'KILL', '--', program, ...args], {
    stdio: ['ignore', log, log],
    env: { PATH: process.env['PATH'], ...env },
  });
}

/** Kills what `launch` started, if it runs. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** Throws when it could not be started. */
export function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error(`${child.spawnfile} could not be started`);
  return child.pid;
}

/** Resolves when somebody listens on a port of this machine. */
export async function listening(port: number): Promise<void> {
  const knock = async () => {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.destroy();
  };
  await eventually(knock, { timeout: 30_000, message: `Nobody listens on ${port}` });
}
