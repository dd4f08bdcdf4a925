/** `registry-mirror-operator webhook` as a process with ports and a certificate of its own. */
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { issueLeaf, type KeyPair } from '../../src/cache/tls/authority.ts';
import { freePorts } from '../kubernetes/free-ports.ts';
import { eventually } from './eventually.ts';
import { type OperatorProcess, startOperator } from './operator-process.ts';
import type { PodAccess } from './pod-access.ts';

export interface WebhookProcess extends OperatorProcess {
  /** Of reviews, over TLS. */
  readonly port: number;
  /** Of health and metrics. */
  readonly httpPort: number;
  readonly certificates: MountedPair;
  /** Whether `/readyz` says so. */
  isReady(): Promise<boolean>;
  /** Waits for that. */
  untilReady(): Promise<void>;
  /** The value of a metric, 0 where it has no such series. */
  metric(series: string): Promise<number>;
}

/** A folder as the kubelet mounts a Secret: links to a link that is exchanged. */
export class MountedPair {
  readonly folder: string;
  #version = 0;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** Puts a new certificate of the authority there. */
  async put(authority: KeyPair): Promise<void> {
    const { certificatePem, keyPem } = await issueLeaf(authority, {
      names: ['127.0.0.1', 'localhost'],
      days: 1,
    });
    const version = `..${++this.#version}`;
    const inVersion = (name: string) => join(this.folder, version, name);
    await mkdir(join(this.folder, version), { recursive: true });
    await writeFile(inVersion('tls.crt'), certificatePem);
    await writeFile(inVersion('tls.key'), keyPem, { mode: 0o600 });
    await symlink(version, join(this.folder, '..data_tmp'));
    await rename(join(this.folder, '..data_tmp'), join(this.folder, '..data'));
    if (this.#version > 1) return;
    for (const name of ['tls.crt', 'tls.key']) await symlink(join('..data', name), join(this.folder, name));
  }
}

/** Starts one below `folder`; without `authority` it has no certificate yet. */
export async function startWebhook(
  folder: string,
  options: { access?: PodAccess; authority?: KeyPair; environment?: Record<string, string> },
): Promise<WebhookProcess> {
  const [port = 0, httpPort = 0] = await freePorts(2);
  const certificates = new MountedPair(await mkdtemp(join(folder, 'pair-')));
  if (options.authority !== undefined) await certificates.put(options.authority);
  const environment = {
    WEBHOOK_PORT: String(port),
    HTTP_PORT: String(httpPort),
    WEBHOOK_CERTIFICATE_DIR: certificates.folder,
    WEBHOOK_DRAIN_SECONDS: '0',
    SECONDS_BETWEEN_STREAMS: '1',
    ...options.environment,
  };
  const child = startOperator(options.access, environment, ['webhook']);
  const isReady = async () =>
    (await fetch(`http://127.0.0.1:${httpPort}/readyz`).catch(() => undefined))?.ok ?? false;
  return {
    ...child,
    port,
    httpPort,
    certificates,
    isReady,
    untilReady: () =>
      eventually(
        async () => {
          if (!(await isReady())) throw new Error(child.log().slice(-2_000));
        },
        { message: 'The webhook did not become ready' },
      ),
    metric: async (series) => {
      const text = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text();
      const line = text.split('\n').find((each) => each.startsWith(`${series} `));
      return Number(line?.split(' ').at(-1) ?? 0);
    },
  };
}

/** Removes what is below it. */
export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}
