/** Mirrors and settings of the resources' tests, and all objects made from them. */
import { apiVersion, kind } from '../../../src/api/kind.ts';
import type { RegistryMirror } from '../../../src/api/registry-mirror.ts';
import type { OperatorSettings } from '../../../src/api/settings.ts';
import { fieldPath, validateRegistryMirror } from '../../../src/api/validate.ts';
import { readOperatorSettings } from '../../../src/config/operator-environment.ts';
import { certificate } from '../../../src/resources/certificate.ts';
import { nodeDaemonSet } from '../../../src/resources/daemon-set.ts';
import { disruptionBudget } from '../../../src/resources/disruption-budget.ts';
import type { KubernetesObject, MirrorInput } from '../../../src/resources/object.ts';
import { clientSecret, configSecret, type LeafOptions, leafSecret } from '../../../src/resources/secret.ts';
import { clusterService, headlessService } from '../../../src/resources/service.ts';
import { cacheStatefulSet } from '../../../src/resources/stateful-set.ts';

/** A mirror as the API server would hand it to the operator; throws on what the schema refuses. */
export function mirrorOf(
  spec: Record<string, unknown>,
  metadata: Partial<RegistryMirror['metadata']> = {},
): RegistryMirror {
  const object = { apiVersion, kind, metadata: { name: 'hub', ...metadata }, spec };
  const result = validateRegistryMirror(object);
  if ('mirror' in result) return result.mirror;
  const faults = result.faults.map(({ path, message }) => `${fieldPath(path)}: ${message}`);
  throw new TypeError(faults.join('; '));
}

/** The settings that an environment means. */
export function settingsOf(environment: Record<string, string> = {}): OperatorSettings {
  return readOperatorSettings({ OPERATOR_IMAGE: 'r.example/operator:1', ...environment }, { inCluster: true })
    .settings;
}

const certificateNames = ['mirror-docker.io'];
const authority = '0123456789abcdef';

/** Every object that can be made for a mirror. */
export function allObjects(input: MirrorInput, clusterIPs = ['10.96.7.1']): KubernetesObject[] {
  const files = { 'nginx.conf': 'events {}\n', 'default.conf': '', 'broker.json': '{}', 'ca.crt': 'CA\n' };
  const leaf = { certificate: 'CERTIFICATE', key: 'KEY', ca: 'CA' };
  return [
    configSecret(input, { files }),
    leafSecret(input, leaf, leafOptions(input)),
    clientSecret(input, leaf, 'CA'),
    clusterService(input, { clusterIPs }),
    headlessService(input),
    ...(input.settings.addressingScheme === 'services' ? [certificate(input, { clusterIPs })] : []),
    cacheStatefulSet(input),
    disruptionBudget(input),
    nodeDaemonSet(input, { clusterIPs, mode: 'wire', ownerReferences: true, certificateNames, authority }),
  ];
}

/** As if everything that can be told of certificates had to be told. */
function leafOptions({ settings }: MirrorInput): LeafOptions {
  if (settings.certificateSecret === undefined) return { authorities: 'CA' };
  const given = { certificate: 'GIVEN', key: 'GIVEN KEY', authority: 'GIVEN CA' };
  return { authorities: 'CA', given, agentsBehind: 'node-a, node-b' };
}

/** The DaemonSet that takes everything back. */
export function restoreDaemonSet(input: MirrorInput): KubernetesObject {
  const options = { clusterIPs: ['10.96.7.1'], mode: 'restore', ownerReferences: false, certificateNames };
  return nodeDaemonSet(input, { ...options, mode: 'restore' });
}

/** A mirror that uses every field. */
export const everyField = {
  upstreamUrl: 'https://harbor.example:8443/dockerhub-proxy',
  masqueradeUrl: 'cache.example:5000',
  credentials: [
    { secret: 'harbor-credentials' },
    { prefix: 'team-a/private', secret: 'harbor-team-a' },
    { prefix: 'team-b', secret: 'harbor-credentials' },
  ],
  access: 'shared',
  redirectHosts: ['*.storage.example'],
  upstreamProxy: 'http://proxy.example:3128',
  upstreamCA: { name: 'harbor-ca', key: 'root.pem' },
  upstreamTimeouts: { connect: '2s', response: '1m', idle: '10s' },
  volumeClaimTemplate: {
    metadata: { name: 'anything' },
    spec: {
      storageClassName: 'fast',
      accessModes: ['ReadWriteOncePod'],
      volumeAttributesClassName: 'gold',
      resources: { requests: { storage: '1.5Ti' } },
    },
  },
  persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete', whenScaled: 'Retain' },
  priorityClass: 'user-standard',
  replicas: 3,
  cache: { tagPolicy: 'background', tagTTL: '5m', maxSize: '100Gi', inactive: '720h' },
  resources: { requests: { cpu: '1', memory: '1Gi' }, limits: { memory: '2Gi' } },
  broker: { processes: 2, resources: { limits: { memory: '512Mi' } } },
  nodeSelector: { pool: 'cache' },
  tolerations: [{ key: 'cache', operator: 'Exists', effect: 'NoSchedule' }],
  affinity: {
    nodeAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        {
          weight: 1,
          preference: { matchExpressions: [{ key: 'disk', operator: 'In', values: ['nvme'] }] },
        },
      ],
    },
  },
  nodes: {
    nodeSelector: { pool: 'work' },
    tolerations: [
      { key: 'work', operator: 'Equal', value: 'yes', tolerationSeconds: 30, effect: 'NoExecute' },
    ],
    affinity: {},
    resources: { requests: { cpu: '20m' } },
    clientCertificate: true,
  },
};

/** An environment that uses every variable. */
export const everyVariable = {
  NAMESPACE: 'mirrors',
  DOCKER_CERTIFICATE_SECRET: 'mirror-certificate',
  CA_CERTIFICATE_BUNDLE: 'company-ca',
  HTTPS_PROXY: 'http://proxy.example:3128',
  NO_PROXY: 'localhost,.svc,10.0.0.0/8',
  DOCKER_REGISTRY: 'registry.example/library',
  NGINX_IMAGE: 'docker.io/library/nginx:1.29',
  IMAGE_PULL_SECRETS: 'pull-one,pull-two',
  SS_DS_LABELS: "{'team': 'platform', 'app': 'stolen'}",
  SS_DS_TEMPLATE_LABELS: '{"sidecar.istio.io/inject": "false", "component": "stolen", "mirror": "stolen"}',
  SS_DS_TOLERATIONS: "[{'operator': 'Exists', 'toleration_seconds': 60, 'effect': 'NoExecute'}]",
  DS_TOLERATIONS: '[{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}]',
};
