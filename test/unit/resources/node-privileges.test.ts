import test from 'ava';
import { daemonSetView, nodeDaemonSet } from '../../../src/resources/daemon-set.ts';
import { mirrorOf, settingsOf } from './fixtures.ts';

const input = {
  mirror: mirrorOf({ upstreamUrl: 'docker.io', nodes: { wire: 'transparent', runtimes: ['containerd'] } }),
  settings: settingsOf(),
};
const given = { ownerReferences: true, clusterIPs: [], certificateNames: [] };

test('Agents that take back may tell every runtime, whichever the mirror names now', (t) => {
  t.false(daemonSetView(input, { ...given, mode: 'wire' }).hostPID);
  const { hostPID, capabilities } = daemonSetView(input, { ...given, mode: 'restore' });
  t.true(hostPID);
  t.true(capabilities.includes('KILL'));
});

test('Agents that tell runtimes are not held back by the profile that lets containers signal their like alone', (t) => {
  const annotationsOf = (mode: 'wire' | 'restore') => {
    const { spec } = nodeDaemonSet(input, { ...given, mode }) as unknown as {
      spec: { template: { metadata: { annotations: Record<string, string> } } };
    };
    return spec.template.metadata.annotations;
  };
  const key = 'container.apparmor.security.beta.kubernetes.io/mirror-hostess';
  t.is(annotationsOf('restore')[key], 'unconfined');
  t.false(key in annotationsOf('wire'));
});
