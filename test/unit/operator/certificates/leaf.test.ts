import test from 'ava';
import { createAuthority } from '../../../../src/cache/tls/authority.ts';
import { inspectCertificate } from '../../../../src/cache/tls/certificate.ts';
import {
  needsRenewal,
  newAuthoritySecret,
  readAuthority,
} from '../../../../src/operator/certificates/authority-secret.ts';
import {
  leafFault,
  leafNames,
  newLeaf,
  nextLeafCheck,
  spreadMs,
} from '../../../../src/operator/certificates/leaf.ts';
import { trustBundle } from '../../../../src/operator/certificates/trust-bundle.ts';
import { mirrorOf } from '../../resources/fixtures.ts';

const now = new Date('2026-01-01T00:00:00Z');
const later = (ms: number) => new Date(now.getTime() + ms);
const dayMs = 86_400_000;
const mirror = mirrorOf({ upstreamUrl: 'docker.io', masqueradeUrl: 'hub.example:5000' });
const names = leafNames(mirror, 'mirrors', ['10.96.0.7', 'fd00:96::7']);

async function authorityAt(date: Date) {
  return { ...(await createAuthority({ commonName: 'test', days: 3650, now: date })), previous: [] };
}

test('A leaf has every name under which the mirror may be dialled', (t) => {
  for (const name of [
    'hub.example',
    'docker.io',
    'registry-1.docker.io',
    'index.docker.io',
    '10.96.0.7',
    'fd00:96::7',
    'registry-mirror-hub.mirrors.svc',
    'registry-mirror-hub.mirrors.svc.cluster.local',
    '*.registry-mirror-hub-headless.mirrors.svc.cluster.local',
  ]) {
    t.true(names.includes(name), name);
  }
});

test('A leaf stays until two thirds of its life are over', async (t) => {
  const authority = await authorityAt(now);
  const leaf = await newLeaf({ names, authority, now });
  t.is(leafFault(leaf, { names, authority, now }), undefined);
  const { notBefore, notAfter } = inspectCertificate(leaf.certificate);
  const due = new Date(nextLeafCheck(leaf, authority));
  const share = (due.getTime() - notBefore.getTime()) / (notAfter.getTime() - notBefore.getTime());
  t.true(Math.abs(share - 2 / 3) < 1e-6);
  t.is(leafFault(leaf, { names, authority, now: new Date(due.getTime() - 1) }), undefined);
  t.regex(leafFault(leaf, { names, authority, now: due }) ?? '', /two thirds/);
});

test('A leaf is made anew for other names, another key, or when there is none', async (t) => {
  const authority = await authorityAt(now);
  const leaf = await newLeaf({ names, authority, now });
  const other = await newLeaf({ names, authority, now });
  const fault = (candidate: typeof leaf | undefined, wanted = names) =>
    leafFault(candidate, { names: wanted, authority, now });
  t.regex(fault(leaf, [...names, 'new.example']) ?? '', /names/);
  t.regex(fault(leaf, names.slice(1)) ?? '', /names/);
  t.regex(fault({ ...leaf, key: other.key }) ?? '', /key/);
  t.truthy(fault({ ...leaf, certificate: 'nonsense' }));
  t.truthy(fault(undefined));
});

test('After a rotation the leaf changes only when nodes had time to learn the new authority', async (t) => {
  const old = await authorityAt(new Date(now.getTime() - 100 * dayMs));
  const leaf = await newLeaf({ names, authority: old, now });
  const renewed = { ...(await authorityAt(now)), previous: [old.certificatePem] };
  t.is(leafFault(leaf, { names, authority: renewed, now: later(spreadMs / 2) }), undefined);
  t.regex(leafFault(leaf, { names, authority: renewed, now: later(spreadMs) }) ?? '', /renewed/);
  t.true(nextLeafCheck(leaf, renewed) <= now.getTime() + spreadMs);
  const bundle = trustBundle([renewed.certificatePem, leaf.ca, ...renewed.previous], now);
  t.true(bundle.includes(renewed.certificatePem.trim()) && bundle.includes(old.certificatePem.trim()));
  t.is(bundle.match(/BEGIN CERTIFICATE/g)?.length, 2, 'each once');
});

test('An authority is read back as it was written, and renewed after two thirds of its life', async (t) => {
  const expired = await createAuthority({
    commonName: 'old',
    days: 1,
    now: new Date(now.getTime() - 9 * dayMs),
  });
  const secret = await newAuthoritySecret('mirrors', [expired.certificatePem], now);
  const authority = readAuthority(secret);
  t.deepEqual(authority.previous, [], 'expired ones are left out');
  t.false(needsRenewal(authority, later(2000 * dayMs)));
  t.true(needsRenewal(authority, later(2440 * dayMs)));
});

test('A Secret that holds something else is a fault for a person', async (t) => {
  const secret = await newAuthoritySecret('mirrors', [], now);
  const leaf = await newLeaf({ names, authority: readAuthority(secret), now });
  const encoded = (text: string) => Buffer.from(text).toString('base64');
  const data = secret['data'] as Record<string, string>;
  for (const broken of [
    {},
    { ...data, 'tls.key': '' },
    { ...data, 'tls.key': encoded(leaf.key) },
    { 'tls.crt': encoded(leaf.certificate), 'tls.key': encoded(leaf.key) },
  ]) {
    t.throws(() => readAuthority({ ...secret, data: broken }), {
      name: 'TerminalError',
      message: /not overwritten/,
    });
  }
});
