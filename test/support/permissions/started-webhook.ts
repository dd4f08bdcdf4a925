/** The webhook as its Deployment runs it, with the rights of its account. */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { createAuthority } from '../../../src/cache/tls/authority.ts';
import type { KubeObject } from '../../kubernetes/api-request.ts';
import { removeFolder, startWebhook, type WebhookProcess } from '../webhook-process.ts';
import { deploymentVariables } from './manifests.ts';
import type { PermissionWorld } from './permission-world.ts';

/** The webhook's process with its account and its Deployment's variables. */
export async function startedWebhook(
  t: ExecutionContext,
  rights: PermissionWorld,
  objects: readonly KubeObject[],
): Promise<{ webhook: WebhookProcess; ca: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'permissions-'));
  t.teardown(() => removeFolder(folder));
  const authority = await createAuthority({ commonName: 'test', days: 1, now: new Date() });
  const access = await rights.podAccess('registry-rewrite-webhook');
  const environment = deploymentVariables(objects, 'registry-rewrite-webhook');
  const webhook = await startWebhook(folder, { access, authority, environment });
  t.teardown(() => webhook.kill());
  return { webhook, ca: authority.certificatePem };
}
