/** Connections from a kubeconfig: the only place that loads `@kubernetes/client-node` (0.4 s, 118 MB: design.md 6). */
import type { RequestOptions } from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import type { Connection, TlsOptions } from './connection.ts';

/** What client-node makes of a user: TLS settings and a header. */
interface Credentials {
  tls: TlsOptions;
  authorization?: string;
}

const tlsFields = ['ca', 'cert', 'key', 'servername'] as const;

/** How long what client-node applied is used again; a token of an exec plugin may end sooner and is renewed after a 401. */
const useForMs = 60_000;

/** Reads the file and returns the connection of `context` (default: its current one). Exec plugins run when asked. */
export async function loadKubeconfig(path: string, context?: string): Promise<Connection> {
  let config = await read(path, context);
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error(`${path}: no cluster for context ${config.getCurrentContext()}`);
  if (cluster.proxyUrl !== undefined) throw new Error(`${path}: proxy-url is not supported`);
  const namespace = config.getContextObject(config.getCurrentContext())?.namespace;
  let applied: Promise<Credentials> | undefined;
  let appliedAt = 0;

  async function credentials(fresh = false): Promise<Credentials> {
    if (fresh) config = await read(path, context);
    if (fresh || applied === undefined || performance.now() - appliedAt > useForMs) {
      appliedAt = performance.now();
      applied = apply(config);
      applied.catch(() => {
        applied = undefined;
      });
    }
    return applied;
  }

  return {
    url: cluster.server.replace(/\/+$/, ''),
    ...(namespace === undefined ? {} : { namespace }),
    async tls() {
      return (await credentials()).tls;
    },
    async authorization(options) {
      return (await credentials(options?.fresh)).authorization;
    },
  };
}

async function read(path: string, context: string | undefined): Promise<KubeConfig> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  config.loadFromFile(path);
  if (context !== undefined) config.setCurrentContext(context);
  // client-node refuses plain HTTP unless verification is off; a local proxy (kubectl proxy, tests) is plain HTTP.
  config.clusters = config.clusters.map((cluster) =>
    cluster.server.startsWith('http:') ? { ...cluster, skipTLSVerify: true } : cluster,
  );
  return config;
}

async function apply(config: KubeConfig): Promise<Credentials> {
  const options: RequestOptions = {};
  await config.applyToHTTPSOptions(options);
  const { auth, headers } = options;
  const basic = typeof auth === 'string' ? `Basic ${Buffer.from(auth).toString('base64')}` : undefined;
  const authorization = basic ?? new Headers(headers as Record<string, string>).get('authorization');
  const tls: Record<string, unknown> = {};
  for (const name of tlsFields) if (options[name]) tls[name] = options[name];
  if (options.rejectUnauthorized === false) tls['rejectUnauthorized'] = false;
  return { tls, ...(authorization ? { authorization } : {}) };
}
