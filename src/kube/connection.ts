/** Where the API server is and how to prove who we are. Everything is passed in; the environment is not read here. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { loadKubeconfig, loadKubeconfigs } from './kubeconfig.ts';

/** What TLS towards the API server needs; PEM texts. A new object is returned whenever something changed. */
export interface TlsOptions {
  ca?: string | Buffer;
  cert?: string | Buffer;
  key?: string | Buffer;
  servername?: string;
  rejectUnauthorized?: boolean;
}

/** An API server and the credentials for it, both of which may be rotated while we run. */
export interface Connection {
  /** `http(s)://host:port`, with a path where a proxy serves several clusters; no trailing slash. */
  readonly url: string;
  /** The namespace of the service account or of the context, if one is named. */
  readonly namespace?: string;
  /** Asked for each new TCP connection, so that a rotated CA or client certificate is taken up without a restart. */
  tls(): Promise<TlsOptions>;
  /** The `Authorization` header. With `fresh` (after a 401) nothing remembered is used. */
  authorization(options?: { fresh?: boolean }): Promise<string | undefined>;
}

/** Where to find a connection; a kubeconfig wins over the service account. */
export interface ConnectionSources {
  kubeconfigPath?: string;
  /** Those of `KUBECONFIG`, of which any may be missing. */
  kubeconfigPaths?: readonly string[];
  kubeconfigContext?: string;
  /** `/var/run/secrets/kubernetes.io/serviceaccount` in a pod: `token`, `ca.crt`, `namespace`. */
  serviceAccountDir?: string;
  /** `https://HOST:PORT` made from KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT. */
  apiServerUrl?: string;
}

/** How long a credential file is trusted without looking at it: kubelet swaps tokens well before they expire. */
const lookAgainAfterMs = 60_000;

/** Returns the connection the sources name. Throws with a message naming the missing file or setting. */
export async function loadConnection(sources: ConnectionSources): Promise<Connection> {
  if (sources.kubeconfigPath !== undefined) {
    return loadKubeconfig(sources.kubeconfigPath, sources.kubeconfigContext);
  }
  if (sources.kubeconfigPaths !== undefined) {
    return loadKubeconfigs(sources.kubeconfigPaths, sources.kubeconfigContext);
  }
  if (sources.apiServerUrl === undefined || sources.serviceAccountDir === undefined) {
    throw new Error(
      'No API server: neither a kubeconfig nor a service account and the address of the cluster',
    );
  }
  return serviceAccountConnection(sources.apiServerUrl, sources.serviceAccountDir);
}

async function serviceAccountConnection(url: string, dir: string): Promise<Connection> {
  const token = new WatchedFile(join(dir, 'token'));
  const ca = new WatchedFile(join(dir, 'ca.crt'));
  await Promise.all([token.read(), ca.read()]);
  const namespace = await readFile(join(dir, 'namespace'), 'utf8').catch(() => '');
  let tls: TlsOptions = {};
  return {
    url: url.replace(/\/+$/, ''),
    ...(namespace.trim() === '' ? {} : { namespace: namespace.trim() }),
    async tls() {
      const text = await ca.read();
      if (tls.ca !== text) tls = { ca: text };
      return tls;
    },
    async authorization(options) {
      return `Bearer ${(await token.read(options?.fresh)).trim()}`;
    },
  };
}

/** A small file somebody else replaces: read again when its inode or time changed, looked at once a minute. */
class WatchedFile {
  readonly #path: string;
  #text: string | undefined;
  #version = '';
  #lookedAt = 0;

  constructor(path: string) {
    this.#path = path;
  }

  async read(fresh = false): Promise<string> {
    if (!fresh && this.#text !== undefined && performance.now() - this.#lookedAt < lookAgainAfterMs) {
      return this.#text;
    }
    try {
      return await this.#look(fresh);
    } catch (error) {
      // The kubelet swaps a symbolic link; between two looks the old text is better than no request at all.
      if (this.#text === undefined) throw error;
      return this.#text;
    }
  }

  async #look(fresh: boolean): Promise<string> {
    const { ino, mtimeMs, size } = await stat(this.#path);
    const version = `${ino} ${mtimeMs} ${size}`;
    if (fresh || this.#text === undefined || version !== this.#version) {
      const text = await readFile(this.#path, 'utf8');
      // A file caught while it is being rewritten in place is empty for a moment.
      if (text !== '' || this.#text === undefined) this.#text = text;
      this.#version = version;
    }
    this.#lookedAt = performance.now();
    return this.#text ?? '';
  }
}
