/** Connections from a kubeconfig: the only place that loads `@kubernetes/client-node` (0.4 s, 118 MB: design.md 6). */
import { readFile } from 'node:fs/promises';
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
export function loadKubeconfig(path: string, context?: string): Promise<Connection> {
  return connectionOf({ name: path, context, read: () => readOne(path) });
}

/** The same of several files as `KUBECONFIG` lists them. Those that are missing or empty count as none; throws where all are. */
export function loadKubeconfigs(paths: readonly string[], context?: string): Promise<Connection> {
  return connectionOf({ name: paths.join(':'), context, read: () => readMerged(paths) });
}

interface Source {
  /** For messages. */
  readonly name: string;
  readonly context: string | undefined;
  readonly read: () => Promise<KubeConfig>;
}

async function connectionOf(source: Source): Promise<Connection> {
  let config = await read(source);
  const cluster = config.getCurrentCluster();
  if (cluster === null)
    throw new Error(`${source.name}: no cluster for context ${config.getCurrentContext()}`);
  if (cluster.proxyUrl !== undefined) throw new Error(`${source.name}: proxy-url is not supported`);
  // client-node makes one header of it and drops the groups: requests would be somebody else's, or with more rights than are meant.
  if (config.getCurrentUser()?.impersonateUser)
    throw new Error(`${source.name}: impersonation (a user with "as") is not supported`);
  const namespace = config.getContextObject(config.getCurrentContext())?.namespace;
  let applied: Promise<Credentials> | undefined;
  let appliedAt = 0;

  async function credentials(fresh = false): Promise<Credentials> {
    if (fresh) config = await read(source);
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

async function read({ context, read: readFiles }: Source): Promise<KubeConfig> {
  const config = await readFiles();
  if (context !== undefined) config.setCurrentContext(context);
  // client-node refuses plain HTTP unless verification is off; a local proxy (kubectl proxy, tests) is plain HTTP.
  config.clusters = config.clusters.map((cluster) =>
    cluster.server.startsWith('http:') ? { ...cluster, skipTLSVerify: true } : cluster,
  );
  return config;
}

async function readOne(path: string): Promise<KubeConfig> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  try {
    config.loadFromFile(path);
  } catch (error) {
    throw isYamlFault(error) ? new Error(yamlFault(path, error)) : error;
  }
  return config;
}

/** As js-yaml throws it, of whatever version client-node uses. */
interface YamlFault extends Error {
  readonly reason: string;
  readonly mark?: { readonly line: number };
}

function isYamlFault(error: unknown): error is YamlFault {
  return error instanceof Error && error.name === 'YAMLException' && 'reason' in error;
}

/** Its message shows the lines around the fault, and its reason what it found there: credentials, in a kubeconfig. */
function yamlFault(path: string, { reason, mark }: YamlFault): string {
  const [what = ''] = reason.split(/["'!<:]/);
  return `${path}:${(mark?.line ?? 0) + 1}: ${what.trim()}`;
}

/** As kubectl merges: of entries with one name the first counts, and the first current context that is named. */
async function readMerged(paths: readonly string[]): Promise<KubeConfig> {
  const present = await Promise.all(paths.map(hasContent));
  const configs = await Promise.all(paths.filter((_, at) => present[at]).map(readOne));
  const [merged] = configs;
  if (merged === undefined) throw new Error(`no file that KUBECONFIG lists is there: ${paths.join(':')}`);
  merged.loadFromOptions({
    clusters: firstOfName(configs.flatMap(({ clusters }) => clusters)),
    users: firstOfName(configs.flatMap(({ users }) => users)),
    contexts: firstOfName(configs.flatMap(({ contexts }) => contexts)),
    currentContext: configs.map(({ currentContext }) => currentContext).find((name) => name),
  });
  return merged;
}

async function hasContent(path: string): Promise<boolean> {
  try {
    return (await readFile(path, 'utf8')).trim() !== '';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

function firstOfName<T extends { readonly name: string }>(entries: readonly T[]): T[] {
  const byName = new Map(entries.toReversed().map((entry) => [entry.name, entry]));
  return entries.filter((entry) => byName.get(entry.name) === entry);
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
