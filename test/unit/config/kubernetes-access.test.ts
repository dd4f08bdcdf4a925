import test from 'ava';
import { readKubernetesAccess } from '../../../src/config/kubernetes-access.ts';
import { readMirrorAccess } from '../../../src/config/mirror-access.ts';

const pod = { KUBERNETES_SERVICE_HOST: '10.0.0.1' };

test('KUBECONFIG is a list of files; nothing between two colons is none', (t) => {
  const { inCluster, kubeconfigPaths } = readKubernetesAccess({ ...pod, KUBECONFIG: ':/a::b/c:' });
  t.false(inCluster);
  t.deepEqual(kubeconfigPaths, ['/a', 'b/c']);
  t.deepEqual(readKubernetesAccess({ KUBECONFIG: ':' }).kubeconfigPaths, []);
});

test('--kubeconfig is one file, whatever its name, and wins over the list', (t) => {
  const { sources } = readMirrorAccess({ ...pod, KUBECONFIG: '/a:/b' }, { kubeconfig: '/c:d', context: 'x' });
  t.is(sources.kubeconfigPath, '/c:d');
  t.is(sources.kubeconfigPaths, undefined);
  t.is(sources.kubeconfigContext, 'x');
});

test('a context can only be one of a kubeconfig', (t) => {
  t.throws(() => readMirrorAccess(pod, { context: 'x' }), { message: /^--context: / });
  t.deepEqual(readMirrorAccess({ KUBECONFIG: '/a' }, { context: 'x' }).sources.kubeconfigPaths, ['/a']);
});
