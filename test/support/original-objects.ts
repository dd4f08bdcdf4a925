/**
 * The objects of a mirror in the shape in which the Python operator wrote them (contract/mirror-operator.md section 2,
 * seed-behaviour.md section 7): its containers, init containers, probes, volumes and owner reference. Written by update
 * under the Python client's manager.
 */
import type { AdminClient } from '../kubernetes/admin-client.ts';
import type { Live } from './operator-world.ts';

const credentials = {
  registry: '/etc/registry-certs',
  shared: '/etc/shared-certs',
  upstream: '/etc/upstream-certs',
};

/** What the original was told, as far as it shows in the objects. */
export interface OriginalOptions {
  /** Of each volume; 20Gi. */
  readonly storage?: string;
  /** The ConfigMap of `CA_CERTIFICATE_BUNDLE`; none. */
  readonly bundle?: string;
  /** Of nginx; one that does not work. `#resolver;` in it becomes the pod's. */
  readonly configuration?: string;
  /** `ADDRESSING_SCHEME`; hostess. */
  readonly scheme?: 'hostess' | 'services';
}

/** Returns the objects in the order in which the original made them. `host`: by which nodes pull, an address in scheme `services`. */
export function originalObjects(
  mirror: { name: string; uid: string },
  host: string,
  options: OriginalOptions = {},
): Live[] {
  const { configuration = 'server { listen 5000 ssl; }' } = options;
  const { name } = mirror;
  const base = `registry-mirror-${name}`;
  const labels = { app: 'docker-registry', mirror: name };
  const metadata = (object: string) => ({
    name: object,
    namespace: 'default',
    labels,
    ownerReferences: [{ apiVersion: 'k8s.osp.tech/v1', kind: 'RegistryMirror', name, uid: mirror.uid }],
  });
  const service = (object: string, clusterIP?: string) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadata(object),
    spec: {
      ...(clusterIP && { clusterIP, type: 'ClusterIP' }),
      selector: labels,
      ports: [{ name: 'https', port: 443, targetPort: 'https' }],
    },
  });
  return [
    service(base),
    service(`${base}-headless`, 'None'),
    statefulSet(metadata(base), labels, options),
    daemonSet(metadata(`${base}-utils`), labels, host, options),
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: metadata(`${base}-secret`),
      data: { 'default.conf': Buffer.from(configuration).toString('base64') },
    },
  ];
}

const collections: Record<string, string> = {
  Service: '/api/v1/namespaces/default/services',
  Secret: '/api/v1/namespaces/default/secrets',
  StatefulSet: '/apis/apps/v1/namespaces/default/statefulsets',
  DaemonSet: '/apis/apps/v1/namespaces/default/daemonsets',
};

/** Creates an object as the original did, under its manager's name. */
export async function writeAsOriginal(admin: Pick<AdminClient, 'adminFetch'>, object: Live): Promise<void> {
  const path = `${collections[object.kind]}?fieldManager=OpenAPI-Generator`;
  await admin.adminFetch(path, { method: 'POST', body: object } as Live);
}

const editConfiguration = `
  server=$(awk '$1 == "nameserver" { print $2; exit }' /etc/resolv.conf)
  sed "s/#resolver;/resolver $server ipv6=off;/" /etc/nginx/conf.d/default.conf > /tmp/nginx/default.conf
`;

function statefulSet(metadata: Live, labels: Live, { storage = '20Gi', bundle }: OriginalOptions): Live {
  const authorities = ['/etc/ssl/certs', ...(bundle === undefined ? [] : [credentials.upstream])]
    .map((folder) => `${folder}/ca-certificates.crt`)
    .join(' ');
  const resources = { requests: { cpu: '0.1', memory: '500Mi' }, limits: { cpu: '0.5', memory: '500Mi' } };
  const shell = { command: ['/bin/sh'], resources };
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata,
    spec: {
      serviceName: `${metadata.name}-headless`,
      podManagementPolicy: 'Parallel',
      replicas: 2,
      selector: { matchLabels: labels },
      updateStrategy: { type: 'RollingUpdate' },
      template: {
        metadata: { labels: { component: 'registry', ...labels } },
        spec: {
          priorityClassName: 'user-standard',
          terminationGracePeriodSeconds: 10,
          tolerations: [],
          initContainers: [
            {
              ...shell,
              name: 'generate-ca-certs',
              image: 'docker.io/cloudbees/docker-certificates:1.3',
              args: ['-c', `cat ${authorities} > ${credentials.shared}/ca-certificates.crt`],
              volumeMounts: [
                { name: 'shared-certs', mountPath: credentials.shared },
                ...(bundle === undefined
                  ? []
                  : [{ name: bundle, mountPath: credentials.upstream, readOnly: true }]),
              ],
            },
            {
              ...shell,
              name: 'get-nameservers',
              image: 'docker.io/busybox',
              args: ['-c', editConfiguration],
              volumeMounts: [
                { name: 'nginx-config', mountPath: '/etc/nginx/conf.d' },
                { name: 'nginx-config-edited', mountPath: '/tmp/nginx' },
              ],
            },
          ],
          containers: [
            {
              name: 'registry',
              image: 'docker.io/nginx:1.22.1-alpine',
              resources,
              ports: [{ name: 'https', containerPort: 5000 }],
              readinessProbe: {
                httpGet: { path: '/health-check', port: 5000, scheme: 'HTTPS' },
                initialDelaySeconds: 3,
                periodSeconds: 3,
              },
              livenessProbe: {
                exec: {
                  command: ['test', '/etc/registry-certs/..data/tls.crt', '-ot', '/var/run/nginx.pid'],
                },
                initialDelaySeconds: 60,
                periodSeconds: 60,
              },
              volumeMounts: [
                { name: 'image-store', mountPath: '/var/lib/registry' },
                { name: 'tls', mountPath: credentials.registry, readOnly: true },
                { name: 'shared-certs', mountPath: credentials.shared, readOnly: true },
                { name: 'nginx-config-edited', mountPath: '/etc/nginx/conf.d', readOnly: true },
              ],
            },
          ],
          volumes: [
            ...(bundle === undefined ? [] : [{ name: bundle, configMap: { name: bundle } }]),
            { name: 'tls', secret: { secretName: 'docker-tls' } },
            { name: 'nginx-config', secret: { secretName: `${metadata.name}-secret` } },
            { name: 'shared-certs', emptyDir: {} },
            { name: 'nginx-config-edited', emptyDir: {} },
          ],
        },
      },
      volumeClaimTemplates: [
        {
          metadata: { name: 'image-store' },
          spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } } },
        },
      ],
    },
  };
}

function daemonSet(metadata: Live, labels: Live, host: string, { scheme }: OriginalOptions): Live {
  const environment = {
    LOCK_FILE: '/var/lock/hostess/mirror-hostess',
    SERVICE_NAME: metadata.name.replace(/-utils$/, ''),
    SERVICE_NAMESPACE: 'default',
    SHADOW_FQDN: host,
    HOSTS_FILE: '/etc/hosts_from_host',
    HOSTS_FILE_BACKUP: '/etc/hosts.backup/hosts',
  };
  const hostess = {
    name: 'mirror-hostess',
    image: 'ghcr.io/ocadotechnology/mirror-hostess:1.4.0',
    imagePullPolicy: 'IfNotPresent',
    env: Object.entries(environment).map(([name, value]) => ({ name, value })),
    resources: {
      requests: { memory: '64Mi', cpu: '0.001' },
      limits: { memory: '128Mi', cpu: '0.1' },
    },
    volumeMounts: [
      { name: 'etc-hosts', mountPath: '/etc/hosts_from_host' },
      { name: 'etc-hosts-backup', mountPath: '/etc/hosts.backup' },
      { name: 'lock', mountPath: '/var/lock/hostess' },
    ],
  };
  const hostPath = (name: string, path: string) => ({ name, hostPath: { path } });
  return {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata,
    spec: {
      minReadySeconds: 10,
      selector: { matchLabels: labels },
      updateStrategy: { type: 'RollingUpdate' },
      template: {
        metadata: { labels: { ...labels, component: 'hostess-certificate' } },
        spec: {
          serviceAccountName: 'mirror-hostess',
          terminationGracePeriodSeconds: 2,
          priorityClassName: 'user-standard',
          containers: [
            ...(scheme === 'services' ? [] : [hostess]),
            {
              name: 'certificate-installation',
              image: 'docker.io/alpine:3.14',
              imagePullPolicy: 'IfNotPresent',
              command: ['/bin/sh', '-c', '-e', '-u', '-x'],
              args: ['cp /source/tls.crt /target/tls.crt; while :; do sleep 2073600; done'],
              resources: {
                requests: { memory: '1Mi', cpu: '0.001' },
                limits: { memory: '32Mi', cpu: '0.1' },
              },
              volumeMounts: [
                { name: 'docker-certs', mountPath: '/target' },
                { name: 'tls', mountPath: '/source', readOnly: true },
              ],
            },
          ],
          volumes: [
            hostPath('etc-hosts', '/etc/hosts'),
            hostPath('etc-hosts-backup', '/etc/hosts.backup'),
            hostPath('lock', '/var/lock/mirror-hostess'),
            hostPath('docker-certs', `/etc/docker/certs.d/${host}`),
            { name: 'tls', secret: { secretName: 'docker-tls' } },
          ],
        },
      },
    },
  };
}
