import test from 'ava';
import { daemonSetView } from '../../../src/resources/daemon-set.ts';
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
