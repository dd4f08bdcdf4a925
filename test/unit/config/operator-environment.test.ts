import test from 'ava';
import { readOperatorEnvironment } from '../../../src/config/operator-environment.ts';
import { ConfigError } from '../../../src/config/problems.ts';

const cluster = { KUBERNETES_SERVICE_HOST: '10.0.0.1', OPERATOR_IMAGE: 'ghcr.example/team/operator:1' };

test('nothing is required, and the defaults are the documented ones', (t) => {
  const { settings, secondsBetweenStreams, kubernetes } = readOperatorEnvironment(cluster);
  t.deepEqual(settings, {
    namespace: 'default',
    imageswapNamespace: 'default',
    imageswapSeparator: ':',
    addressingScheme: 'hostess',
    images: { operator: 'ghcr.example/team/operator:1', nginx: 'ghcr.example/team/operator:1' },
    imagePullSecrets: [],
    labels: {},
    templateLabels: {},
    tolerations: [],
    nodeDaemonSets: 'perMirror',
    nodePorts: { first: 29000, last: 29999 },
    nodePriorityClass: 'system-node-critical',
    nodeTolerations: [],
    requireCredentialsLabel: false,
  });
  t.is(secondsBetweenStreams, 30);
  t.is(kubernetes.apiServerUrl, 'https://10.0.0.1:443');
});

test('the original’s Python literals are understood, snake_case keys and None included', (t) => {
  const { settings } = readOperatorEnvironment({
    ...cluster,
    SS_DS_LABELS: "{'team': 'infra'}",
    SS_DS_TEMPLATE_LABELS: '{"a.b/c": "d"}',
    SS_DS_TOLERATIONS:
      "[{'key': 'x', 'operator': 'Exists', 'value': None, 'effect': 'NoExecute', 'toleration_seconds': 60}]",
    IMAGE_PULL_SECRETS: 'one, two,,one',
    SECONDS_BETWEEN_STREAMS: '5',
  });
  t.deepEqual(settings.labels, { team: 'infra' });
  t.deepEqual(settings.templateLabels, { 'a.b/c': 'd' });
  t.deepEqual(settings.tolerations, [
    { key: 'x', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 60 },
  ]);
  t.deepEqual(settings.imagePullSecrets, ['one', 'two']);
});

test('DOCKER_REGISTRY replaces the domain of every image', (t) => {
  const { settings } = readOperatorEnvironment({
    ...cluster,
    DOCKER_REGISTRY: 'registry.local:5000',
    NGINX_IMAGE: 'nginx:1.28',
    HOSTESS_DOCKER_IMAGE: 'ocadotechnology/mirror-hostess',
    HOSTESS_DOCKER_TAG: '1.1.0',
    HOSTESS_DOCKER_REGISTRY: 'ignored.local',
  });
  t.deepEqual(settings.images, {
    operator: 'registry.local:5000/team/operator:1',
    nginx: 'registry.local:5000/library/nginx:1.28',
    hostess: 'registry.local:5000/ocadotechnology/mirror-hostess:1.1.0',
  });
});

test('DOCKER_REGISTRY moves no image that is there already, nor that of the operator’s own pod', (t) => {
  const { OPERATOR_IMAGE: _, ...others } = cluster;
  const env = { ...others, POD_NAME: 'operator-1', DOCKER_REGISTRY: 'harbor.example/proxy' };
  const { settings } = readOperatorEnvironment(
    { ...env, NGINX_IMAGE: 'harbor.example/proxy/library/nginx:1' },
    { ownImage: 'other.example/team/operator:2' },
  );
  t.deepEqual(settings.images, {
    operator: 'other.example/team/operator:2',
    nginx: 'harbor.example/proxy/library/nginx:1',
  });
  const alone = readOperatorEnvironment(env, { ownImage: 'other.example/team/operator:2' }).settings.images;
  t.is(alone.nginx, 'other.example/team/operator:2', 'it is the same image');
});

test('HOSTESS_DOCKER_REGISTRY counts while DOCKER_REGISTRY is the default', (t) => {
  const { settings, notices } = readOperatorEnvironment({
    ...cluster,
    DOCKER_REGISTRY: 'docker.io',
    HOSTESS_DOCKER_REGISTRY: 'old.local',
    HOSTESS_DOCKER_IMAGE: 'a/hostess',
  });
  t.is(settings.images.hostess, 'old.local/a/hostess:1.1.0', 'the tag that the original documents');
  t.is(settings.images.operator, 'ghcr.example/team/operator:1');
  t.true(notices.some((notice) => notice.includes('deprecated')));
});

test('every wrong value is listed in one error that names variable, expectation and value', (t) => {
  const error = t.throws(
    () =>
      readOperatorEnvironment({
        KUBERNETES_SERVICE_HOST: '10.0.0.1',
        ADDRESSING_SCHEME: 'magic',
        NAMESPACE: 'Not_A_Namespace',
        SECONDS_BETWEEN_STREAMS: 'soon',
        SS_DS_LABELS: '{1: 2',
        SS_DS_TOLERATIONS: '{}',
        DOCKER_REGISTRY: 'a b',
        DOCKER_CERTIFICATE_SECRET: 'UPPER',
        LOG_LEVEL: 'loud',
        HTTP_PORT: '-1',
      }),
    { instanceOf: ConfigError },
  );
  const named = error?.problems.map((problem) => problem.split(':')[0]).sort();
  t.deepEqual(named, [
    'ADDRESSING_SCHEME',
    'DOCKER_CERTIFICATE_SECRET',
    'DOCKER_REGISTRY',
    'HTTP_PORT',
    'LOG_LEVEL',
    'NAMESPACE',
    'OPERATOR_IMAGE',
    'SECONDS_BETWEEN_STREAMS',
    'SS_DS_LABELS',
    'SS_DS_TOLERATIONS',
  ]);
  t.true(error?.message.includes('ADDRESSING_SCHEME: expected one of hostess, services, got "magic"'));
});

test('in a cluster the image is that of our own pod where no variable names one', (t) => {
  const { OPERATOR_IMAGE: image, ...place } = cluster;
  const read = (env: Record<string, string>) => readOperatorEnvironment({ ...place, ...env });
  t.is(read({ POD_NAME: 'operator-1', HOSTNAME: 'node-1' }).imageOfPod, 'operator-1');
  t.is(read({ HOSTNAME: 'mirror-operator-1', OPERATOR_IMAGE: ' ' }).imageOfPod, 'mirror-operator-1');
  t.deepEqual(read({ POD_NAME: 'operator-1' }).notices, []);
  const named = read({ POD_NAME: 'operator-1', OPERATOR_IMAGE: image });
  t.is(named.imageOfPod, undefined);
  t.is(named.settings.images.operator, image);
  t.throws(() => read({}), { message: /^OPERATOR_IMAGE: expected .*POD_NAME/ });
});

test('outside a cluster a missing OPERATOR_IMAGE is said, not refused', (t) => {
  const { settings, notices } = readOperatorEnvironment({ KUBECONFIG: '/some/file' });
  t.regex(settings.images.operator, /^registry-mirror-operator:/);
  t.true(notices.some((notice) => notice.startsWith('OPERATOR_IMAGE is not set')));
});

test('the proxy of upstreams is read as every program reads it, in either case', (t) => {
  const proxyOf = (env: Record<string, string>) =>
    readOperatorEnvironment({ KUBECONFIG: '/some/file', ...env }).settings.egressProxy;
  t.is(proxyOf({}), undefined);
  t.is(proxyOf({ NO_PROXY: 'a' }), undefined);
  t.deepEqual(
    proxyOf({ https_proxy: 'proxy.example:3128/', no_proxy: 'localhost, .svc,,10.0.0.0/8 fd00::/8' }),
    {
      url: 'http://proxy.example:3128',
      noProxy: ['localhost', '.svc', '10.0.0.0/8', 'fd00::/8'],
    },
  );
  t.deepEqual(proxyOf({ HTTPS_PROXY: 'https://Proxy.example', https_proxy: 'http://other.example' }), {
    url: 'https://proxy.example',
    noProxy: [],
  });
});

test('a proxy with a password is refused without showing it', (t) => {
  for (const value of [
    'http://me:hunter2@proxy.example:3128',
    'me:hunter2@proxy.example',
    'socks5://hunter2',
  ]) {
    const error = t.throws(() => readOperatorEnvironment({ KUBECONFIG: '/some/file', HTTPS_PROXY: value }), {
      instanceOf: ConfigError,
      message: /^HTTPS_PROXY: expected a proxy as http\[s\]:\/\/host\[:port\]/,
    });
    t.false(error?.message.includes('hunter2'));
  }
});
