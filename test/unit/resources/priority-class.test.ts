import test from 'ava';
import { nodeDaemonSet } from '../../../src/resources/daemon-set.ts';
import { sharesNodes } from '../../../src/resources/shared-nodes.ts';
import { cacheStatefulSet } from '../../../src/resources/stateful-set.ts';
import { mirrorOf, settingsOf } from './fixtures.ts';

/** Of the cache pods and of the agents; whether agents are those of all mirrors where they can be. */
function classesOf(spec: object) {
  const mirror = mirrorOf({ upstreamUrl: 'quay.io', ...spec });
  const input = { mirror, settings: settingsOf() };
  const options = { mode: 'wire', ownerReferences: true, clusterIPs: [], certificateNames: [] } as const;
  const classes = [cacheStatefulSet(input), nodeDaemonSet(input, options)].map((object) => {
    const { spec } = object as unknown as { spec: { template: { spec: { priorityClassName?: string } } } };
    return spec.template.spec.priorityClassName;
  });
  return [...classes, sharesNodes(mirror, settingsOf({ NODE_DAEMONSETS: 'shared' }))];
}

test('without a priority class agents have the default one, with an empty one nobody has any', (t) => {
  t.deepEqual(classesOf({}), [undefined, 'system-node-critical', true]);
  t.deepEqual(classesOf({ priorityClass: 'mine' }), ['mine', 'mine', false]);
  t.deepEqual(classesOf({ priorityClass: '' }), [undefined, undefined, false]);
});
