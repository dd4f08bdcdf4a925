/** How a pod reaches an API server: by its address in two variables and a service account's files, as the kubelet mounts them. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The names are those of `ConnectionSources`, so that a test's own client is made of it as well. */
export interface PodAccess {
  /** `https://127.0.0.1:PORT`. */
  readonly apiServerUrl: string;
  /** Has `token`, `ca.crt` and `namespace`. */
  readonly serviceAccountDir: string;
}

/** A program and how it is started. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Record<string, string | undefined>;
}

/** Below `/run`, which is where `/var/run` leads. */
const mounted = 'secrets/kubernetes.io/serviceaccount';

/** Writes a service account of namespace `default` below `folder`, which is its alone. */
export async function writeServiceAccount(
  folder: string,
  account: { readonly apiServerUrl: string; readonly ca: string; readonly token: string },
): Promise<PodAccess> {
  const { apiServerUrl, ca, token } = account;
  const serviceAccountDir = join(folder, mounted);
  await mkdir(serviceAccountDir, { recursive: true });
  for (const [name, content] of Object.entries({ token, 'ca.crt': ca, namespace: 'default' }))
    await writeFile(join(serviceAccountDir, name), content, { mode: 0o600 });
  return { apiServerUrl, serviceAccountDir };
}

/** The same program as in a pod: in a mount namespace with a `/run` of its own. Its process id is that of what is started here. Without `access` as it is. */
export function inPod(access: PodAccess | undefined, command: Command): Command {
  if (access === undefined) return command;
  const { program, args, env } = command;
  const { hostname, port } = new URL(access.apiServerUrl);
  const run = access.serviceAccountDir.slice(0, -mounted.length);
  return {
    program: 'unshare',
    args: ['--mount', 'sh', '-c', 'mount --bind "$0" /run && exec "$@"', run, program, ...args],
    env: { ...env, KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port },
  };
}
