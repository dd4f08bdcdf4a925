/** The order in which a renewed authority is announced and put to use, with a clock of the test's. */
import test from 'ava';
import type { KeyPair } from '../../../../src/cache/tls/authority.ts';
import { createAuthority } from '../../../../src/cache/tls/authority.ts';
import { signedBy } from '../../../../src/cache/tls/certificate.ts';
import type { KubeClient } from '../../../../src/kube/client.ts';
import type { KubeObject } from '../../../../src/kube/object.ts';
import { WaitingError } from '../../../../src/observe/errors.ts';
import type { AuthorityKeeper } from '../../../../src/operator/certificates/authority-keeper.ts';
import type { Authority } from '../../../../src/operator/certificates/authority-secret.ts';
import type { LiveView } from '../../../../src/operator/live-view.ts';
import type { Applier } from '../../../../src/operator/registry-mirror/apply.ts';
import { WebhookCertificate } from '../../../../src/operator/rewriting/webhook-certificate.ts';

const { signal } = new AbortController();
const start = Date.parse('2026-03-01T00:00:00Z');

function pair(commonName: string): Promise<KeyPair> {
  return createAuthority({ commonName, days: 3650, now: new Date(start) });
}

async function world(source: ConstructorParameters<typeof WebhookCertificate>[0]['source']) {
  const first = await pair('first');
  const state = {
    now: start,
    authority: { ...first, previous: [] } as Authority,
    announced: [] as string[],
    secret: undefined as KubeObject | undefined,
  };
  const certificate = new WebhookCertificate({
    client: { getOrUndefined: async () => undefined } as unknown as KubeClient,
    namespace: 'default',
    source,
    secrets: { get: () => state.secret } as unknown as LiveView,
    applier: {
      apply: async (object: KubeObject) => {
        state.secret = object;
        return object;
      },
    } as unknown as Applier,
    authorities: { get: async () => state.authority } as unknown as AuthorityKeeper,
    announced: () => state.announced,
    announceMs: 60_000,
    now: () => new Date(state.now),
  });
  const served = () => {
    const data = state.secret?.['data'] as Record<string, string>;
    return Buffer.from(data['tls.crt'] ?? '', 'base64').toString();
  };
  const renew = async () => {
    const [former, next] = [state.authority, await pair('second')];
    state.authority = { ...next, previous: [former.certificatePem], former };
  };
  return { state, certificate, served, renew, first };
}

test('a renewed authority is told first, and signs once everybody has known it for a while', async (t) => {
  const { state, certificate, served, renew, first } = await world({ kind: 'own' });
  state.announced = [(await certificate.ensure(signal)).authorities];
  t.is(state.announced[0], first.certificatePem);
  await renew();
  const told = await certificate.ensure(signal);
  t.true(told.authorities.includes(first.certificatePem));
  t.true(told.authorities.includes(state.authority.certificatePem));
  t.true(told.afterMs <= 60_000);
  t.true(signedBy(served(), first.certificatePem), 'the first authority still signs');
  state.announced = [told.authorities];
  await certificate.ensure(signal);
  state.now += 59_000;
  await certificate.ensure(signal);
  t.true(signedBy(served(), first.certificatePem));
  state.now += 1_000;
  const { authorities } = await certificate.ensure(signal);
  t.true(signedBy(served(), state.authority.certificatePem));
  t.true(authorities.includes(first.certificatePem), 'pods may serve the old one for a while');
});

test('one configuration that does not know the authority keeps it from signing', async (t) => {
  const { state, certificate, served, renew, first } = await world({ kind: 'own' });
  const before = (await certificate.ensure(signal)).authorities;
  await renew();
  const { authorities } = await certificate.ensure(signal);
  state.announced = [authorities, before];
  await certificate.ensure(signal);
  state.now += 120_000;
  await certificate.ensure(signal);
  t.true(signedBy(served(), first.certificatePem));
  state.announced = [authorities, authorities];
  await certificate.ensure(signal);
  state.now += 60_000;
  await certificate.ensure(signal);
  t.true(signedBy(served(), state.authority.certificatePem));
});

test('without any configuration yet, nothing is waited for but the time', async (t) => {
  const { state, certificate, served } = await world({ kind: 'own' });
  await certificate.ensure(signal);
  t.true(signedBy(served(), state.authority.certificatePem));
});

for (const [name, key] of [
  ['its ca.crt', 'ca.crt'],
  ['imageswap’s rootca.pem', 'rootca.pem'],
  ['its certificate where it has no authority', 'gilly.pem'],
] as const)
  test(`of a given Secret ${name} is announced`, async (t) => {
    const { state, certificate, first } = await world({ kind: 'secret', name: 'given' });
    await t.throwsAsync(certificate.ensure(signal), { instanceOf: WaitingError, message: /does not exist/ });
    const data = { [key]: Buffer.from(first.certificatePem).toString('base64') };
    state.secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'given' }, data };
    t.is((await certificate.ensure(signal)).authorities, first.certificatePem);
    state.now += 3650 * 86_400_000;
    await t.throwsAsync(certificate.ensure(signal), { instanceOf: WaitingError, message: /valid now/ });
  });

function given(...certificates: readonly string[]): KubeObject {
  const data = { 'ca.crt': Buffer.from(certificates.join('')).toString('base64') };
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'given' }, data };
}

test('of a given Secret the authority before stays announced for as long as replicas may serve what it signed', async (t) => {
  const { state, certificate, first } = await world({ kind: 'secret', name: 'given' });
  const second = await pair('second');
  state.secret = given(first.certificatePem);
  state.announced = [(await certificate.ensure(signal)).authorities];
  state.now += 86_400_000;
  state.secret = given(second.certificatePem);
  const both = second.certificatePem + first.certificatePem;
  t.deepEqual(await certificate.ensure(signal), { authorities: both, afterMs: 600_000 });
  state.announced = [both];
  state.now += 599_000;
  t.deepEqual(await certificate.ensure(signal), { authorities: both, afterMs: 1_000 });
  state.now += 1_000;
  t.is((await certificate.ensure(signal)).authorities, second.certificatePem);
});

test('an operator that starts while an authority is exchanged keeps the one that is announced', async (t) => {
  const { state, certificate, first } = await world({ kind: 'secret', name: 'given' });
  const second = await pair('second');
  state.secret = given(second.certificatePem);
  state.announced = [first.certificatePem];
  t.is((await certificate.ensure(signal)).authorities, second.certificatePem + first.certificatePem);
  state.now += 600_000;
  t.is((await certificate.ensure(signal)).authorities, second.certificatePem);
});
