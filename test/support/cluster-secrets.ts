/** Looks for the contents of a cluster's Secrets where none may be: in events, conditions, every other object, and what operators wrote. */
import { assertNoSecretsIn, noteSecret } from './secrets.ts';

/** Asks the API server as its admin. */
type Get = (path: string) => Promise<{ readonly items: readonly unknown[] }>;

interface SecretObject {
  readonly data?: Readonly<Record<string, string>>;
}

const searched = [
  '/api/v1/events',
  '/api/v1/configmaps',
  '/api/v1/services',
  '/apis/apps/v1/statefulsets',
  '/apis/apps/v1/daemonsets',
  '/apis/apps/v1/controllerrevisions',
  '/apis/coordination.k8s.io/v1/leases',
  '/apis/k8s.osp.tech/v1/registrymirrors',
];

/** Throws what was found where. A server without our CRD has no mirrors; one that is gone says nothing. */
export async function assertClusterTellsNoSecrets(get: Get, operatorOutput: string): Promise<void> {
  const items = (path: string) =>
    get(path).then(
      (list) => list.items,
      () => [],
    );
  for (const secret of (await items('/api/v1/secrets')) as SecretObject[]) noteValues(secret);
  for (const path of searched) assertNoSecretsIn(path, JSON.stringify(await items(path)));
  assertNoSecretsIn('the operators’ output', operatorOutput);
}

/** Certificates and configurations are no secrets. */
function noteValues({ data = {} }: SecretObject): void {
  for (const [name, value] of Object.entries(data)) {
    if (!/(?:\.key|^password|^token|^\.dockerconfigjson)$/.test(name)) continue;
    const text = Buffer.from(value, 'base64').toString();
    noteSecret(value);
    noteSecret(text);
    for (const line of text.split('\n')) if (!line.startsWith('-----')) noteSecret(line);
  }
}
