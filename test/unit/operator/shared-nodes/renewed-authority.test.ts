import test from 'ava';
import { signedBy } from '../../../../src/cache/tls/certificate.ts';
import type { KubeObject } from '../../../../src/kube/object.ts';
import { createLogger } from '../../../../src/observe/log.ts';
import { readAuthority } from '../../../../src/operator/certificates/authority-secret.ts';
import { secretText } from '../../../../src/operator/certificates/secret-text.ts';
import { SharedNodes, type SharedNodesOptions } from '../../../../src/operator/shared-nodes/shared-nodes.ts';
import { settingsOf } from '../../resources/fixtures.ts';
import { viewsOfMirrors } from '../mirror-views.ts';

const hub = {
  apiVersion: 'k8s.osp.tech/v1',
  kind: 'RegistryMirror',
  metadata: { name: 'hub', uid: 'hub', resourceVersion: '1' },
  spec: { upstreamUrl: 'docker.io' },
};
const minute = 60_000;

test('A node that stays away keeps the agents’ certificate from a new authority for an hour, and no longer', async (t) => {
  const views = viewsOfMirrors([hub]);
  const clock = { now: Date.parse('2026-01-01T00:00:00Z') };
  let version = 1;
  const write = async (_type: unknown, object: KubeObject) => {
    version += 1;
    const metadata = { ...object.metadata, uid: `${version}`, resourceVersion: `${version}` };
    return { ...object, metadata };
  };
  const nodes = new SharedNodes({
    client: { create: write, apply: write, getOrUndefined: async () => undefined },
    settings: settingsOf({ NODE_DAEMONSETS: 'shared' }),
    views,
    logger: createLogger({ level: 'silent' }),
    changed: () => undefined,
    mirrorsKnown: () => true,
    obstaclesChanged: () => undefined,
    now: () => new Date(clock.now),
  } as unknown as SharedNodesOptions);
  const secret = (name: string) => views.secrets.get(`default/${name}`);
  const reconcile = () => nodes.reconcile(new AbortController().signal);
  const isByNew = () => {
    const authority = readAuthority(secret('registry-mirror-ca')!);
    return signedBy(secretText(secret('registry-mirror-nodes'), 'tls.crt') ?? '', authority.certificatePem);
  };
  await reconcile();
  t.true(isByNew());
  const former = secret('registry-mirror-ca');
  if (former !== undefined) views.secrets.sawOff(former);
  clock.now += 90 * minute;
  const afterMs = await reconcile();
  t.false(isByNew(), 'no agent has been started with it yet');
  t.is(afterMs, 3 * minute, 'no pod has it before');
  clock.now += 59 * minute;
  await reconcile();
  t.false(isByNew());
  clock.now += minute;
  await reconcile();
  t.true(isByNew());
  const leaf = secretText(secret('registry-mirror-nodes'), 'tls.crt');
  clock.now += 250 * 24 * 60 * minute;
  await reconcile();
  t.not(secretText(secret('registry-mirror-nodes'), 'tls.crt'), leaf);
  t.true(isByNew(), 'mirrors have forgotten the former one');
});
