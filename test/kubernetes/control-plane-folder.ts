/** Writes everything a control plane reads from its folder: keys, certificates, tokens, kubeconfig, audit policy. */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { type Authority, createAuthority, createTokenKeys } from './certificates.ts';
import { type ControlPlaneLayout, filesIn } from './flags.ts';
import { kubeconfig } from './kube-config.ts';

/** What is known only once the folder is written; `url` is the API server's. */
export interface ControlPlaneAccess {
  url: string;
  authority: Authority;
  adminToken: string;
}

/** Where the API server is reached; on a loopback port of its own if nothing else is said. */
export interface Reach {
  /** Of the kubeconfig. */
  url: string;
  /** What its certificate is for beside 127.0.0.1. */
  addresses: string[];
}

/** Writes the folder of `layout`, which must exist. Keys and tokens are made anew. */
export async function writeFolder(layout: ControlPlaneLayout, reach?: Reach): Promise<ControlPlaneAccess> {
  const { url, addresses } = reach ?? { url: `https://127.0.0.1:${layout.apiServerPort}`, addresses: [] };
  const adminToken = randomBytes(16).toString('hex');
  const authority = await createAuthority();
  const server = await authority.forServer(
    ['localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc'],
    ['127.0.0.1', ...addresses],
  );
  const tokenKeys = await createTokenKeys();
  const files = filesIn(layout.folder);
  await writeAll({
    [files.ca]: authority.certificate,
    [files.certificate]: server.certificate,
    [files.key]: server.key,
    [files.tokenKey]: tokenKeys.key,
    [files.tokenPublicKey]: tokenKeys.publicKey,
    [files.tokens]: `${adminToken},admin,admin,system:masters\n`,
    [files.auditPolicy]: JSON.stringify(auditPolicy),
    [files.kubeconfig]: kubeconfig(url, authority.certificate, { token: adminToken }),
  });
  return { url, authority, adminToken };
}

// What the API server asks of itself is of no interest to a test.
const auditPolicy = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived', 'ResponseStarted'],
  omitManagedFields: true,
  rules: [{ level: 'None', users: ['system:apiserver'] }, { level: 'Metadata' }],
};

async function writeAll(files: Record<string, string>): Promise<void> {
  await Promise.all(
    Object.entries(files).map(([path, content]) => writeFile(path, content, { mode: 0o600 })),
  );
}
