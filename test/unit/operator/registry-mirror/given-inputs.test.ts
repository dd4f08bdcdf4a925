import test from 'ava';
import { createAuthority, issueLeaf, type KeyPair } from '../../../../src/cache/tls/authority.ts';
import { inspectCertificate } from '../../../../src/cache/tls/certificate.ts';
import type { KubeObject } from '../../../../src/kube/object.ts';
import { givenInputs } from '../../../../src/operator/registry-mirror/given-inputs.ts';
import type { LiveObjects } from '../../../../src/operator/registry-mirror/live-objects.ts';
import type { Views } from '../../../../src/operator/views.ts';
import { mirrorOf, settingsOf } from '../../resources/fixtures.ts';

const now = new Date('2026-01-01T00:00:00Z');
const dayMs = 86_400_000;
const names = ['given.example', 'other.example'];
const mirror = mirrorOf({ upstreamUrl: 'docker.io', masqueradeUrl: 'given.example' });
const environment = { DOCKER_CERTIFICATE_SECRET: 'user-tls', NAMESPACE: 'mirrors' };

let authority: KeyPair;
let pair: KeyPair;
test.before(async () => {
  authority = await createAuthority({ commonName: 'user', days: 90, now });
  pair = await issueLeaf(authority, { names: ['given.example'], days: 30, now });
});

function secret(name: string, files: Record<string, string>): KubeObject {
  const data = Object.entries(files).map(([key, text]) => [key, Buffer.from(text).toString('base64')]);
  const metadata = { name, namespace: 'mirrors' };
  return { apiVersion: 'v1', kind: 'Secret', metadata, data: Object.fromEntries(data) };
}

function usersSecret(files: Record<string, string> = {}): KubeObject {
  const usable = {
    'tls.crt': pair.certificatePem,
    'tls.key': pair.keyPem,
    'ca.crt': authority.certificatePem,
  };
  return secret('user-tls', { ...usable, ...files });
}

/** A mirror that serves the copy. */
function serving(conf = 'ssl_certificate /etc/registry-mirror/tls/given.crt;'): LiveObjects {
  const copy = {
    'given.crt': pair.certificatePem,
    'given.key': pair.keyPem,
    'given-ca.crt': authority.certificatePem,
  };
  const configSecret = secret('registry-mirror-hub-secret', { 'default.conf': conf });
  return { leafSecret: secret('registry-mirror-hub-leaf', copy), configSecret, claims: [] };
}

function ask(users: KubeObject | undefined, live: LiveObjects, at = now, variables: object = environment) {
  const settings = settingsOf(variables as Record<string, string>);
  const get = (key: string) => (key === 'mirrors/user-tls' ? users : undefined);
  const views = { secrets: { get } } as unknown as Views;
  return givenInputs({ mirror, settings, live, views, now: at }, names);
}

test('A usable certificate is served for its names and copied', (t) => {
  const inputs = ask(usersSecret(), { claims: [] });
  t.deepEqual(inputs.served?.names, ['given.example']);
  t.is(inputs.files?.key, pair.keyPem);
  t.false(inputs.kept);
});

test('The copy follows another certificate at once', async (t) => {
  const other = await issueLeaf(authority, { names: ['other.example'], days: 30, now });
  const users = usersSecret({ 'tls.crt': other.certificatePem, 'tls.key': other.keyPem });
  const inputs = ask(users, serving());
  t.is(inputs.files?.certificate, other.certificatePem);
  t.deepEqual(inputs.served?.names, ['other.example']);
});

test('While the Secret is missing or unusable the copy is served, and trusted', (t) => {
  const half = pair.certificatePem.slice(0, 300);
  for (const users of [
    undefined,
    secret('user-tls', {}),
    usersSecret({ 'tls.key': 'nonsense' }),
    usersSecret({ 'tls.crt': half }),
    usersSecret({ 'tls.crt': `${pair.certificatePem}${half}` }),
    usersSecret({ 'tls.crt': `${half}\n${pair.certificatePem}` }),
  ]) {
    const inputs = ask(users, serving());
    t.true(inputs.kept);
    t.deepEqual(inputs.served?.names, ['given.example']);
    t.is(inputs.files?.certificate, pair.certificatePem);
    t.true(inputs.trusted.includes(authority.certificatePem));
  }
  t.is(ask(undefined, { claims: [] }).served, undefined, 'there never was a usable one');
});

test('A certificate that is not valid yet is awaited, and the copy is served until then', async (t) => {
  const from = new Date(now.getTime() + 2 * dayMs);
  const next = await issueLeaf(authority, { names: ['given.example'], days: 30, now: from });
  const { notBefore } = inspectCertificate(next.certificatePem);
  const users = usersSecret({ 'tls.crt': next.certificatePem, 'tls.key': next.keyPem });
  const early = ask(users, serving());
  t.true(early.kept);
  t.is(early.files?.certificate, pair.certificatePem);
  t.is(early.checkAt, notBefore.getTime());
  t.like(early.judged[0], { state: 'unusable', why: 'it is not valid before 2026-01-02' });
  t.is(ask(users, { claims: [] }).served, undefined, 'there never was one that is valid');
  t.is(ask(users, { claims: [] }).checkAt, notBefore.getTime());
  const inForce = ask(users, serving(), notBefore);
  t.false(inForce.kept);
  t.is(inForce.files?.certificate, next.certificatePem);
});

test('A copy that expired is served no more, and removed after the configuration that names it', (t) => {
  const expired = new Date(now.getTime() + 31 * dayMs);
  const first = ask(undefined, serving(), expired);
  t.is(first.served, undefined);
  t.is(first.files?.key, pair.keyPem, 'a pod that starts now still needs it');
  t.true(first.checkAt <= expired.getTime() + 60_000);
  t.is(ask(undefined, serving('none'), expired).files, undefined);
});

test('Without DOCKER_CERTIFICATE_SECRET the copy goes the same way', (t) => {
  const unset = { NAMESPACE: 'mirrors' };
  const first = ask(usersSecret(), serving(), now, unset);
  t.is(first.served, undefined);
  t.not(first.files, undefined);
  t.deepEqual(first.judged, []);
  const second = ask(usersSecret(), serving('none'), now, unset);
  t.is(second.files, undefined);
  t.is(second.checkAt, Number.POSITIVE_INFINITY);
});
