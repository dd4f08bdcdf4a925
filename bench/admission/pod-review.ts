/** What is sent: a pod of three containers as a Deployment's pods are, and the review of its creation. */
import { readFileSync } from 'node:fs';

/** What the pod's images are under; the webhook's rules are for one of them. */
export const registries = { rewritten: 'quay.io', unchanged: 'registry.example' } as const;
export const namespace = 'bench';
const bytes = 8192;
/** As API server 1.36.3 added them to this very pod when a client called kube-controller-manager made it. */
const managedFields = JSON.parse(
  readFileSync(new URL('managed-fields.json', import.meta.url), 'utf8'),
) as unknown;

/** Returns the body: 8 KiB of JSON. */
export function podReview(registry: string): string {
  const short = JSON.stringify(review(registry, ''));
  return JSON.stringify(review(registry, 'x'.repeat(bytes - Buffer.byteLength(short))));
}

function review(registry: string, filling: string) {
  const { kind, apiVersion, metadata, ...rest } = pod(registry, filling);
  return {
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1',
    request: {
      uid: '6b1f3c8e-3a5d-4c55-9c1a-1f0d2a7d8e11',
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      requestKind: { group: '', version: 'v1', kind: 'Pod' },
      requestResource: { group: '', version: 'v1', resource: 'pods' },
      namespace,
      operation: 'CREATE',
      userInfo: {
        username: 'system:serviceaccount:kube-system:replicaset-controller',
        uid: '1d6f0a4e-8a43-4d19-8f0e-5b1c9f1d2c3b',
        groups: ['system:serviceaccounts', 'system:serviceaccounts:kube-system', 'system:authenticated'],
      },
      object: { kind, apiVersion, metadata: { ...metadata, managedFields }, ...rest },
      oldObject: null,
      dryRun: false,
      options: { kind: 'CreateOptions', apiVersion: 'meta.k8s.io/v1' },
    },
  };
}

/** The pod; its account is `shop`. */
export function pod(registry: string, filling: string) {
  return {
    kind: 'Pod',
    apiVersion: 'v1',
    metadata: {
      generateName: 'shop-7c9d8b6f5-',
      namespace,
      labels: { app: 'shop', 'pod-template-hash': '7c9d8b6f5' },
      annotations: { 'example.com/filling': filling },
      ownerReferences: [
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          name: 'shop-7c9d8b6f5',
          uid: '9b2e6a0c-53c1-4e0a-9f0d-6a1b2c3d4e5f',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: {
      volumes: [
        { name: 'config', configMap: { name: 'shop', defaultMode: 420 } },
        {
          name: 'token',
          projected: { sources: [{ serviceAccountToken: { expirationSeconds: 3607, path: 'token' } }] },
        },
      ],
      initContainers: [initContainer('migrate', `${registry}/shop/migrate:1.4.2`)],
      containers: [
        container('shop', `${registry}/shop/server:1.4.2`),
        container('proxy', `${registry}/mesh/proxy:2.1`),
      ],
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 30,
      dnsPolicy: 'ClusterFirst',
      serviceAccountName: 'shop',
      serviceAccount: 'shop',
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      schedulerName: 'default-scheduler',
      tolerations: ['not-ready', 'unreachable'].map((state) => ({
        key: `node.kubernetes.io/${state}`,
        operator: 'Exists',
        effect: 'NoExecute',
        tolerationSeconds: 300,
      })),
      priority: 0,
      enableServiceLinks: true,
      preemptionPolicy: 'PreemptLowerPriority',
    },
    status: {},
  };
}

/** Ends before the others begin, so it is not probed. */
function initContainer(name: string, image: string) {
  const { livenessProbe: _, ...rest } = container(name, image);
  return rest;
}

function container(name: string, image: string) {
  return {
    name,
    image,
    args: ['--listen', ':8080', '--log', 'json'],
    ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
    env: Array.from({ length: 2 }, (_, index) => ({
      name: `SETTING_${index}`,
      value: `value of setting ${index}`,
    })),
    resources: { limits: { memory: '256Mi' }, requests: { cpu: '100m', memory: '256Mi' } },
    volumeMounts: [
      { name: 'config', mountPath: '/etc/shop' },
      { name: 'token', readOnly: true, mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' },
    ],
    livenessProbe: {
      httpGet: { path: '/healthz', port: 8080, scheme: 'HTTP' },
      timeoutSeconds: 1,
      periodSeconds: 10,
      successThreshold: 1,
      failureThreshold: 3,
    },
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    imagePullPolicy: 'IfNotPresent',
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
  };
}
