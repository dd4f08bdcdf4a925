/** Makes what is kept in memory of a Secret: ours and the given certificate as they are, of others no value at all. Pure. */
import { caSecretName, sharedNodesName, webhookNames } from '../api/names.ts';
import type { OperatorSettings } from '../api/settings.ts';
import type { KubeObject } from '../kube/object.ts';

const ours = /^registry-mirror-.+-(secret|leaf|client|tls)$/;

/** Returns the Secret to store. Credentials are the broker's: here only whether a key has a value matters. */
export function preparedSecret(secret: KubeObject, settings: OperatorSettings): KubeObject {
  const { name } = secret.metadata;
  const kept = [caSecretName, sharedNodesName, webhookNames.secret, settings.certificateSecret];
  if (kept.includes(name) || name === webhookSecretOf(settings) || ours.test(name)) return secret;
  const { managedFields: _fields, annotations: _annotations, ...metadata } = secret.metadata;
  const data = Object.entries((secret['data'] ?? {}) as Record<string, string>);
  const present = data.map(([key, value]) => [key, value === '' ? '' : 'set']);
  return { ...secret, metadata, data: Object.fromEntries(present) };
}

function webhookSecretOf({ rewriting }: OperatorSettings): string | undefined {
  const source = rewriting?.webhook.certificate;
  return source?.kind === 'secret' ? source.name : undefined;
}
