import test from 'ava';
import { ApiError } from '../../../../src/kube/errors.ts';
import { createLogger } from '../../../../src/observe/log.ts';
import type { LiveService } from '../../../../src/operator/registry-mirror/live-objects.ts';
import {
  applyServices,
  type ServicesDependencies,
} from '../../../../src/operator/registry-mirror/mirror-services.ts';
import type { StoredMirror } from '../../../../src/operator/registry-mirror/status.ts';
import { mirrorOf, settingsOf } from '../../resources/fixtures.ts';

const address = '10.96.7.1';

/** A Service that was lost, and an API server that refuses its address so many times; another is 10.96.7.2. */
async function makeAgain(refusals: number, status = 422) {
  const mirror = mirrorOf({ upstreamUrl: 'quay.io' });
  const events: string[] = [];
  let left = refusals;
  const dependencies = {
    logger: createLogger({ level: 'silent' }),
    events: { warning: async (_object: unknown, reason: string) => void events.push(reason) },
    applier: {
      apply: async (object: LiveService) => {
        const asked = object.spec?.clusterIPs;
        if (asked?.includes(address) && left-- > 0) throw new ApiError('POST', status, { reason: 'Invalid' });
        return { ...object, spec: { ...object.spec, clusterIPs: asked ?? ['10.96.7.2'] } };
      },
    },
  } as unknown as ServicesDependencies;
  const stored = { ...mirror, status: { clusterIPs: [address] } } as unknown as StoredMirror;
  const signal = new AbortController().signal;
  const input = { mirror, settings: settingsOf() };
  const clusterIPs = await applyServices(input, stored, { claims: [] }, dependencies, signal);
  return { clusterIPs, events };
}

test('A lost Service has its address again although the API server gives that free only after a while', async (t) => {
  t.deepEqual(await makeAgain(3), { clusterIPs: [address], events: [] });
});

test('An address that stays taken is given up, with an event', async (t) => {
  t.deepEqual(await makeAgain(100), { clusterIPs: ['10.96.7.2'], events: ['ClusterIPChanged'] });
});

test('Whatever else fails is not taken for a taken address', async (t) => {
  await t.throwsAsync(makeAgain(1, 500), { instanceOf: ApiError });
});
