/**
 * What deploy/components/monitoring watches, alive: the operator on a real API server, a cache of nginx and broker before a registry, the shared node
 * agent, the webhook, and a Prometheus that finds their pods by plain/scrape-config.yaml.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { load } from 'js-yaml';
import { createAuthority } from '../../src/cache/tls/authority.ts';
import { freePort } from '../kubernetes/free-ports.ts';
import { agentNode } from './agent-node.ts';
import { eventually } from './eventually.ts';
import { makeImage } from './images.ts';
import type { OperatorProcess } from './operator-process.ts';
import { type Live, startWorld, type World } from './operator-world.ts';
import { type Prometheus, startPrometheus } from './prometheus.ts';
import { pushImage, startRegistry, type TestRegistry } from './registry.ts';
import { pod, reviewOf } from './reviews.ts';
import { runStandalone } from './standalone.ts';
import { startWebhook, type WebhookProcess } from './webhook-process.ts';

export const monitoringFolder = join(import.meta.dirname, '../../deploy/components/monitoring');
/** Its first port is the agent's; no other test has it. */
const nodePorts = '28700-28750';
const image = makeImage({ tag: '1', seed: 'monitored', layerSizes: [100_000] });

export interface MonitoredWorld {
  readonly world: World;
  readonly operator: OperatorProcess;
  readonly webhook: WebhookProcess;
  readonly registry: TestRegistry;
  readonly prometheus: Prometheus;
  /** The status of a GET of the cache. */
  ask(path: string): Promise<number>;
}

/** Starts all of it; it ends with the test. Rules hold at once, without `for`. */
export async function startMonitoredWorld(t: ExecutionContext): Promise<MonitoredWorld> {
  const folder = mkdtempSync(join(tmpdir(), 'monitored-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const world = await startWorld();
  t.teardown(() => world.end());
  t.teardown(() => void (t.passed || t.log(world.lastWords())));
  for (const crd of ['imagemaps.mapper.imagerelocation.pivotal.io', 'rewriterules.k8s.osp.tech'])
    await world.plane.applyCrd(`crds/${crd}.yaml`);
  const [operator, cache, webhook] = await Promise.all([
    startOperator(world),
    startCache(t, folder),
    startWebhookOf(t, world, folder),
  ]);
  await startAgents(t, world);
  await world.mirror('demo', { upstreamUrl: 'registry.example' });
  const pods: [string, Record<string, string>, string, number][] = [
    ['operator', { 'app.kubernetes.io/name': 'registry-mirror-operator' }, 'http', operator.port],
    ['cache', { app: 'docker-registry', component: 'registry', mirror: 'demo' }, 'metrics', cache.metrics],
    ['webhook', { 'app.kubernetes.io/name': 'registry-rewrite-webhook' }, 'http', webhook.httpPort],
  ];
  for (const [name, labels, portName, port] of pods) await makePod(world, name, labels, portName, port);
  const prometheus = await startPrometheus(join(folder, 'prometheus'), await configurationOf(world, folder));
  t.teardown(() => prometheus.stop());
  return { world, operator: operator.process, webhook, prometheus, ...cache };
}

async function startOperator(world: World) {
  const port = await freePort();
  await world.plane.apply({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'registry-rewrite-webhook', namespace: 'default' },
    spec: { ports: [{ port: 443 }] },
  } as Live);
  const process = world.start({
    HTTP_PORT: String(port),
    NODE_DAEMONSETS: 'shared',
    NODE_PORTS: nodePorts,
    REWRITE_ENGINE: 'webhook',
  });
  return { port, process };
}

/** With credentials that ended a minute ago, as a JSON Web Token says. */
async function startCache(t: ExecutionContext, folder: string) {
  const claims = { exp: Math.floor(Date.now() / 1000) - 60 };
  const token = ['{}', JSON.stringify(claims), 'signature']
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.');
  const credentials = { username: 'puller', password: token };
  const registry = await startRegistry(join(folder, 'registry'), { credentials });
  t.teardown(() => registry.stop());
  await pushImage(registry, 'library/app', image);
  const metrics = await freePort();
  const file = join(folder, 'mirrors.yaml');
  writeFileSync(file, mirrorsFile(registry, credentials));
  const standalone = runStandalone(t, [
    ...['-f', file, '--data', join(folder, 'data')],
    ...['--upstream-ca', registry.authority.file, '--metrics', `127.0.0.1:${metrics}`],
  ]);
  const url = await eventually(() => {
    const [first] = standalone.ready();
    if (first === undefined) throw new Error(standalone.errors());
    return first.url;
  });
  const ca = readFileSync(join(folder, 'data/ca.crt'));
  const ask = (path: string) => statusOf(`${url}${path}`, { ca });
  return { registry, metrics, ask };
}

function mirrorsFile({ host }: TestRegistry, credentials: object): string {
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'pull' }, stringData: credentials };
  const spec = { upstreamUrl: host, masqueradeUrl: 'mirror.test', credentialsSecret: 'pull' };
  const mirror = { apiVersion: 'k8s.osp.tech/v1', kind: 'RegistryMirror', metadata: { name: 'demo' }, spec };
  return `${JSON.stringify(secret)}\n---\n${JSON.stringify(mirror)}\n`;
}

async function startWebhookOf(t: ExecutionContext, world: World, folder: string): Promise<WebhookProcess> {
  const authority = await createAuthority({ commonName: 'webhook', days: 2 });
  const webhook = await startWebhook(folder, { access: world.proxy.access, authority });
  t.teardown(() => webhook.kill());
  await webhook.untilReady();
  const body = JSON.stringify(reviewOf(pod({ a: 'nginx' })));
  const url = `https://127.0.0.1:${webhook.port}/rewrite`;
  await statusOf(url, { ca: authority.certificatePem, method: 'POST', body });
  return webhook;
}

/** On a node with a line of somebody else for the mirror's alias, so that there is a finding. */
async function startAgents(t: ExecutionContext, world: World): Promise<void> {
  const node = agentNode(t, world);
  writeFileSync(join(node.root, 'etc/hosts'), '127.0.0.1 localhost\n192.0.2.9 mirror-registry.example\n');
}

async function makePod(
  world: World,
  name: string,
  labels: Record<string, string>,
  portName: string,
  port: number,
): Promise<void> {
  const container = { name, image: 'x', ports: [{ name: portName, containerPort: port }] };
  const pods = '/api/v1/namespaces/default/pods';
  await world.plane.adminFetch(pods, {
    method: 'POST',
    body: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels: { 'app.kubernetes.io/managed-by': 'registry-mirror-operator', ...labels } },
      spec: { nodeName: 'node-1', containers: [container] },
    },
  } as Live);
  await world.patch(`${pods}/${name}/status`, { status: { phase: 'Running', podIP: '127.0.0.1' } });
}

/** plain/scrape-config.yaml from outside the cluster, with the agents' port of this test and their Secret as files. */
async function configurationOf(world: World, folder: string): Promise<object> {
  const secret = await eventually(() =>
    world.get('/api/v1/namespaces/default/secrets/registry-mirror-nodes'),
  );
  for (const key of ['peer-ca.crt', 'tls.crt', 'tls.key'])
    writeFileSync(join(folder, key), Buffer.from(secret.data[key], 'base64'));
  const text = readFileSync(join(monitoringFolder, 'plain/scrape-config.yaml'), 'utf8')
    .replaceAll('/etc/registry-mirror-nodes', folder)
    .replaceAll(':29000', `:${nodePorts.split('-')[0]}`);
  const { scrape_configs: jobs } = load(text) as Live;
  for (const job of jobs)
    for (const discovery of job.kubernetes_sd_configs) discovery.kubeconfig_file = world.plane.kubeconfigPath;
  return {
    global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
    rule_files: [rulesWithoutWaiting(folder)],
    scrape_configs: jobs,
  };
}

function rulesWithoutWaiting(folder: string): string {
  const text = readFileSync(join(monitoringFolder, 'plain/rules.yaml'), 'utf8');
  const file = join(folder, 'rules.yaml');
  writeFileSync(file, text.replaceAll(/^ +for: .*\n/gm, ''));
  return file;
}

function statusOf(
  url: string,
  { body, ...options }: { ca: string | Buffer; method?: string; body?: string },
): Promise<number> {
  const headers = body === undefined ? {} : { 'content-type': 'application/json' };
  return new Promise((resolve, reject) => {
    const asked = request(url, { ...options, headers, agent: false }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode ?? 0));
    });
    asked.on('error', reject).end(body);
  });
}
