/** Writes kubeconfig files. */
import { dump } from 'js-yaml';

/** How a client shows who it is: a bearer token, or a client certificate with its key (PEM). */
export type Credentials = { token: string } | { certificate: string; key: string };

/** Returns a kubeconfig (YAML) with everything inline, for one server whose authority is `ca` (PEM). */
export function kubeconfig(server: string, ca: string, credentials: Credentials): string {
  const name = 'test';
  return dump({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server, 'certificate-authority-data': base64(ca) } }],
    users: [{ name, user: userOf(credentials) }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  });
}

function userOf(credentials: Credentials): Record<string, string> {
  if ('token' in credentials) return { token: credentials.token };
  return {
    'client-certificate-data': base64(credentials.certificate),
    'client-key-data': base64(credentials.key),
  };
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
