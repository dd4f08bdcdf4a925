/** What somebody has who uses the Python operator, in namespace `default`: its kind, a Deployment, and a mirror with all that was made for it. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AdminClient } from '../kubernetes/admin-client.ts';
import type { KubeObject } from '../kubernetes/api-request.ts';
import { eventually } from '../support/eventually.ts';
import { originalObjects, writeAsOriginal } from '../support/original-objects.ts';
import { originalOperatorImage } from './original-images.ts';

const bundle = 'ca-bundle';
/** `DOCKER_CERTIFICATE_SECRET`. */
const certificateSecret = 'docker-tls';

/** Makes a certificate that signs itself, as its documentation has people make one. */
export function selfSigned(name: string): { certificate: string; key: string } {
  const folder = mkdtempSync(join(tmpdir(), 'self-signed-'));
  try {
    const files = ['-keyout', join(folder, 'key'), '-out', join(folder, 'certificate')];
    const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`];
    execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', ...files, ...subject],
      {
        stdio: 'pipe',
      },
    );
    const read = (file: string) => readFileSync(join(folder, file), 'utf8');
    return { certificate: read('certificate'), key: read('key') };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What the operator is told, and what stays so. */
export function operatorDeployment(): KubeObject {
  const labels = { app: 'mirror-operator' };
  const environment = { DOCKER_CERTIFICATE_SECRET: certificateSecret, CA_CERTIFICATE_BUNDLE: bundle };
  const env = Object.entries(environment).map(([name, value]) => ({ name, value }));
  const container = { name: 'mirror-operator', image: originalOperatorImage, env };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'mirror-operator', namespace: 'default', labels },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { serviceAccountName: 'mirror-operator', containers: [container] },
      },
    },
  };
}

/** Everything but the mirror: the kind, what its user made for it, and the operator. */
export async function installOriginal(
  admin: AdminClient,
  given: { certificate: string; key: string; upstreamCA: string },
): Promise<void> {
  const namespace = 'default';
  const objects: KubeObject[] = [
    originalKind,
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'mirror-operator', namespace } },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'mirror-hostess', namespace } },
    {
      apiVersion: 'scheduling.k8s.io/v1',
      kind: 'PriorityClass',
      metadata: { name: 'user-standard' },
      value: 1000,
    },
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: certificateSecret, namespace },
      type: 'kubernetes.io/tls',
      stringData: { 'tls.crt': given.certificate, 'tls.key': given.key },
    },
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: bundle, namespace },
      data: { 'ca-certificates.crt': given.upstreamCA },
    },
    operatorDeployment(),
  ];
  for (const object of objects) await admin.apply(object);
}

/** What it asked of the API server, and no more: its documentation leaves that to people. */
export function originalRights(): KubeObject[] {
  const group = 'rbac.authorization.k8s.io';
  const account = { kind: 'ServiceAccount', name: 'mirror-operator', namespace: 'default' };
  const rights = (prefix: '' | 'Cluster', rules: readonly object[]): KubeObject[] => {
    const metadata = { name: 'mirror-operator', ...(prefix === '' && { namespace: 'default' }) };
    const role = { apiGroup: group, kind: `${prefix}Role`, name: 'mirror-operator' };
    return [
      { apiVersion: `${group}/v1`, kind: `${prefix}Role`, metadata, rules },
      {
        apiVersion: `${group}/v1`,
        kind: `${prefix}RoleBinding`,
        metadata,
        roleRef: role,
        subjects: [account],
      },
    ];
  };
  return [
    ...rights('Cluster', [
      { apiGroups: ['k8s.osp.tech'], resources: ['registrymirrors'], verbs: ['get', 'list', 'watch'] },
    ]),
    ...rights('', [
      { apiGroups: [''], resources: ['services', 'secrets'], verbs: ['*'] },
      { apiGroups: ['apps'], resources: ['statefulsets', 'daemonsets'], verbs: ['*'] },
    ]),
  ];
}

export interface OriginalMirror {
  readonly name: string;
  readonly upstream: string;
  /** `ADDRESSING_SCHEME`; hostess. */
  readonly scheme?: 'hostess' | 'services';
}

/** A mirror as people wrote it, and what the operator made for it. Returns its Service's address. */
export async function makeOriginalMirror(admin: AdminClient, mirror: OriginalMirror): Promise<string> {
  const { name, upstream, scheme = 'hostess' } = mirror;
  const storage = '1Gi';
  const made = await eventually(() =>
    admin.apply({
      apiVersion: 'k8s.osp.tech/v1',
      kind: 'RegistryMirror',
      metadata: { name },
      spec: {
        upstreamUrl: upstream,
        volumeClaimTemplate: { spec: { resources: { requests: { storage } } } },
      },
    }),
  );
  const owner = { name, uid: String(made.metadata['uid']) };
  const alias = `mirror-${upstream}`;
  const options = { storage, bundle, scheme, configuration: cacheConfiguration(upstream) };
  const [service] = originalObjects(owner, alias, options);
  await writeAsOriginal(admin, service);
  const { spec } = await admin.adminFetch<ServiceObject>(
    `/api/v1/namespaces/default/services/${service?.metadata.name}`,
  );
  const host = scheme === 'services' ? spec.clusterIP : alias;
  for (const object of originalObjects(owner, host, options).slice(1))
    await writeAsOriginal(admin, withImagesHere(object));
  return spec.clusterIP;
}

/** No registry has the image without a tag, which a kubelet would ask for each time. */
function withImagesHere(object: KubeObject): KubeObject {
  if (object.kind !== 'StatefulSet') return object;
  const { spec } = structuredClone(object) as KubeObject & StatefulSetSpec;
  for (const container of spec.template.spec.initContainers) container.imagePullPolicy = 'IfNotPresent';
  return { ...object, spec };
}

interface ServiceObject extends KubeObject {
  readonly spec: { readonly clusterIP: string };
}

interface StatefulSetSpec {
  readonly spec: { template: { spec: { initContainers: { imagePullPolicy?: string }[] } } };
}

function cacheConfiguration(upstream: string): string {
  return `
    proxy_cache_path /var/lib/registry levels=1:2 inactive=7d use_temp_path=off keys_zone=cache:10m max_size=1g;
    server {
      listen 5000 ssl;
      ssl_certificate /etc/registry-certs/tls.crt;
      ssl_certificate_key /etc/registry-certs/tls.key;
      #resolver;
      set $upstream https://${upstream};
      location /health-check { return 200 ''; }
      location / {
        limit_except HEAD GET OPTIONS { deny all; }
        proxy_pass $upstream;
        proxy_ssl_verify on;
        proxy_ssl_trusted_certificate /etc/shared-certs/ca-certificates.crt;
        proxy_set_header Host ${upstream};
        proxy_cache cache;
        proxy_cache_valid 7d;
      }
    }`;
}

const anything = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
/** As its documentation has it: a schema that takes whatever there is. */
const originalKind: KubeObject = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'registrymirrors.k8s.osp.tech' },
  spec: {
    group: 'k8s.osp.tech',
    scope: 'Cluster',
    names: {
      plural: 'registrymirrors',
      singular: 'registrymirror',
      kind: 'RegistryMirror',
      shortNames: ['rm'],
    },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', properties: { spec: anything, status: anything } } },
      },
    ],
  },
};
