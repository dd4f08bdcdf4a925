/** What an operator sees of a cluster that has mirrors, and nothing else yet. */

import type { KubeObject } from '../../../src/kube/object.ts';
import { Store } from '../../../src/kube/store.ts';
import { LiveView } from '../../../src/operator/live-view.ts';
import { masqueradeHosts } from '../../../src/operator/mirror-keys.ts';
import { masqueradeIndex, mirrorIndex, type Views } from '../../../src/operator/views.ts';

const others = [
  'services',
  'secrets',
  'statefulSets',
  'daemonSets',
  'disruptionBudgets',
  'claims',
  'endpointSlices',
];

export function viewsOfMirrors(stored: readonly KubeObject[]): Views {
  const mirrors = new Store({ indexes: { [masqueradeIndex]: masqueradeHosts } });
  for (const mirror of stored) mirrors.put(mirror);
  const other = () => new LiveView(new Store({ indexes: { [mirrorIndex]: () => [] } }));
  return {
    mirrors: new LiveView(mirrors),
    ...Object.fromEntries(others.map((type) => [type, other()])),
  } as unknown as Views;
}
