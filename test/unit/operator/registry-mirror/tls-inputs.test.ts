import test from 'ava';
import { createAuthority, issueLeaf, type KeyPair } from '../../../../src/cache/tls/authority.ts';
import type { KubeObject } from '../../../../src/kube/object.ts';
import { createLogger } from '../../../../src/observe/log.ts';
import { FormerAuthorities } from '../../../../src/operator/certificates/former-authorities.ts';
import { tlsInputs } from '../../../../src/operator/registry-mirror/tls-inputs.ts';
import type { Views } from '../../../../src/operator/views.ts';
import { mirrorOf, settingsOf } from '../../resources/fixtures.ts';

const start = new Date('2026-01-01T00:00:00Z');
const minute = 60_000;

test('Nodes trust a given authority for ten minutes after another has taken its place: cache pods serve its certificate until their kubelet is there', async (t) => {
  const mirror = mirrorOf({ upstreamUrl: 'docker.io', masqueradeUrl: 'given.example' });
  const own = { ...(await createAuthority({ commonName: 'own', days: 3650, now: start })), previous: [] };
  const former = new FormerAuthorities();
  const trusted = async (users: KubeObject, afterMs: number, by = former, live = '') => {
    const now = new Date(start.getTime() + afterMs);
    const { composition, checkAt } = await tlsInputs({
      mirror,
      settings: settingsOf({ DOCKER_CERTIFICATE_SECRET: 'user-tls' }),
      live: { claims: [], ...(live && { configSecret: secretOf('s', { 'ca.crt': live }) }) },
      views: { secrets: { get: () => users } } as unknown as Views,
      authority: own,
      now,
      logger: createLogger({ level: 'silent' }),
      nodesBehind: async () => '',
      clusterIPs: [],
      former: by,
    });
    return { bundle: composition.trustBundle, inMs: checkAt - now.getTime() };
  };
  const [first, second] = [await given(), await given()];
  const has = (bundle: string) => [first, second].map(({ authority }) => bundle.includes(authority));
  t.deepEqual(has((await trusted(first.secret, 0)).bundle), [true, false]);
  const exchanged = await trusted(second.secret, minute);
  t.deepEqual(has(exchanged.bundle), [true, true]);
  t.is(exchanged.inMs, 10 * minute);
  t.deepEqual(has((await trusted(second.secret, 10.9 * minute)).bundle), [true, true]);
  t.deepEqual(has((await trusted(second.secret, 11 * minute)).bundle), [false, true]);
  const told = `${own.certificatePem}${first.authority}`;
  const restarted = await trusted(second.secret, minute, new FormerAuthorities(), told);
  t.deepEqual(has(restarted.bundle), [true, true], 'by an operator that starts meanwhile');
  const settled = `${own.certificatePem}${second.authority}`;
  t.true((await trusted(second.secret, minute, new FormerAuthorities(), settled)).inMs > 10 * minute);
});

async function given(): Promise<{ readonly authority: string; readonly secret: KubeObject }> {
  const authority: KeyPair = await createAuthority({ commonName: 'user', days: 90, now: start });
  const pair = await issueLeaf(authority, { names: ['given.example'], days: 30, now: start });
  const files = {
    'tls.crt': pair.certificatePem,
    'tls.key': pair.keyPem,
    'ca.crt': authority.certificatePem,
  };
  return { authority: authority.certificatePem, secret: secretOf('user-tls', files) };
}

function secretOf(name: string, files: Record<string, string>): KubeObject {
  const data = Object.entries(files).map(([key, text]) => [key, Buffer.from(text).toString('base64')]);
  const metadata = { name, namespace: 'default' };
  return { apiVersion: 'v1', kind: 'Secret', metadata, data: Object.fromEntries(data) };
}
