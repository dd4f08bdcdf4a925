import test from 'ava';
import { ApiError } from '../../../../src/kube/errors.ts';
import type { KubeObject } from '../../../../src/kube/object.ts';
import type { Applier } from '../../../../src/operator/registry-mirror/apply.ts';
import {
  NodesPhase,
  type NodesPhaseInput,
  type NodesPhaseOptions,
} from '../../../../src/operator/registry-mirror/nodes-phase.ts';
import { ObjectsPass } from '../../../../src/operator/registry-mirror/objects-pass.ts';
import { mirrorOf, settingsOf } from '../../resources/fixtures.ts';

/** Takes a mirror whose agents have this affinity, on an API server that refuses it as such servers do what has another type. */
async function refused(affinity: unknown) {
  const mirror = mirrorOf({ upstreamUrl: 'docker.io' });
  const applier = {
    apply: async (_object: KubeObject) => {
      throw new ApiError('PATCH', 500, { message: 'failed to create typed patch object: .spec.affinity' });
    },
  } as unknown as Applier;
  const phase = new NodesPhase({
    settings: settingsOf(),
    applier,
    now: () => new Date(),
  } as unknown as NodesPhaseOptions);
  const daemonSet = {
    kind: 'DaemonSet',
    metadata: { name: 'd' },
    spec: { template: { spec: { affinity } } },
  };
  const pass = new ObjectsPass(applier);
  const input = { stored: mirror, mirror, live: { claims: [] }, daemonSet } as unknown as NodesPhaseInput;
  await phase.apply(input, pass, new AbortController().signal);
  return pass.obstacles.map(({ reason }) => reason);
}

const required = (nodeSelectorTerms: unknown) => ({
  nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } },
});

test('An affinity that is not of the API’s types is the API server’s to refuse, which names the field', async (t) => {
  const pool = { key: 'pool', operator: 'In' };
  for (const terms of [
    { matchExpressions: [{ ...pool, values: ['a'] }] },
    'pool',
    [null],
    [{ matchExpressions: pool }],
    [{ matchExpressions: [{ ...pool, values: 'a' }] }],
    [{ matchFields: [null] }],
  ]) {
    t.deepEqual(await refused(required(terms)), ['ObjectRefused'], JSON.stringify(terms));
  }
  for (const terms of [
    null,
    [{ matchExpressions: null, matchFields: null }],
    [{ matchExpressions: [{ ...pool, values: null }] }],
  ]) {
    t.deepEqual(await refused(required(terms)), ['ObjectRefused'], JSON.stringify(terms));
  }
});
