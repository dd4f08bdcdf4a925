/**
 * What service accounts ask to be allowed: an authorizer in front of RBAC that is asked about every request first, and has no opinion. Unlike the audit
 * log it also sees what admission asks, and the creation in an apply.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';

/** One question about a resource; fields that do not apply are empty. */
export interface AskedRight {
  readonly user: string;
  readonly verb: string;
  readonly group: string;
  /** With the subresource: `pods/exec`. */
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
}

interface Review {
  readonly apiVersion: string;
  readonly spec: {
    readonly user?: string;
    readonly resourceAttributes?: {
      readonly verb?: string;
      readonly group?: string;
      readonly resource?: string;
      readonly subresource?: string;
      readonly namespace?: string;
      readonly name?: string;
    };
  };
}

const prefix = 'system:serviceaccount:';

export class AuthorizationRecorder {
  readonly #server: Server;
  readonly #folder: string;
  #asked: AskedRight[] = [];

  private constructor(server: Server) {
    this.#server = server;
    this.#folder = mkdtempSync(join(tmpdir(), 'recorder-'));
    server.on('request', async (request, response) => {
      const review = (await json(request)) as Review;
      this.#note(review);
      const { apiVersion } = review;
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ apiVersion, kind: 'SubjectAccessReview', status: { allowed: false } }));
    });
  }

  static async start(): Promise<AuthorizationRecorder> {
    const server = createServer();
    const recorder = new AuthorizationRecorder(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return recorder;
  }

  /** How a control plane asks it. */
  get options(): { authorizationMode: string; apiServerFlags: string[] } {
    const { port } = this.#server.address() as AddressInfo;
    const config = join(this.#folder, 'config.json');
    const kubeconfig = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'recorder', cluster: { server: `http://127.0.0.1:${port}` } }],
      users: [{ name: 'recorder' }],
      contexts: [{ name: 'recorder', context: { cluster: 'recorder', user: 'recorder' } }],
      'current-context': 'recorder',
    };
    writeFileSync(config, JSON.stringify(kubeconfig));
    return {
      authorizationMode: 'Webhook,Node,RBAC',
      apiServerFlags: [
        `--authorization-webhook-config-file=${config}`,
        '--authorization-webhook-version=v1',
        // Every question is asked again.
        '--authorization-webhook-cache-unauthorized-ttl=1ns',
      ],
    };
  }

  /** What was asked since the last call, without the prefix of service accounts: `default/registry-mirror-operator`. */
  take(): AskedRight[] {
    const asked = this.#asked;
    this.#asked = [];
    return asked;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #note({ spec: { user = '', resourceAttributes } }: Review): void {
    if (resourceAttributes === undefined || !user.startsWith(prefix)) return;
    // OwnerReferencesPermissionEnforcement asks for the right to everything before it asks for what matters.
    if (resourceAttributes.resource === '*') return;
    const {
      verb = '',
      group = '',
      resource = '',
      subresource = '',
      namespace = '',
      name = '',
    } = resourceAttributes;
    this.#asked.push({
      user: user.slice(prefix.length).replace(':', '/'),
      verb,
      group,
      resource: subresource === '' ? resource : `${resource}/${subresource}`,
      namespace,
      name,
    });
  }
}
