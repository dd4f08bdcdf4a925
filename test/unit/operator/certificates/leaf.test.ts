import test from 'ava';
import { createAuthority } from '../../../../src/cache/tls/authority.ts';
import { inspectCertificate } from '../../../../src/cache/tls/certificate.ts';
import {
  authorityMark,
  needsRenewal,
  newAuthoritySecret,
  readAuthority,
} from '../../../../src/operator/certificates/authority-secret.ts';
import {
  isSignedBy,
  leafFault,
  leafNames,
  newLeaf,
  nextLeafCheck,
  nodeIdentity,
  replicaIdentity,
} from '../../../../src/operator/certificates/leaf.ts';
import { mirrorOf } from '../../resources/fixtures.ts';

const now = new Date('2026-01-01T00:00:00Z');
const later = (ms: number) => new Date(now.getTime() + ms);
const dayMs = 86_400_000;
const renewedSigns = true;
const identity = replicaIdentity('hub');
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
  const leaf = await newLeaf({ identity, names, authority, renewedSigns, now });
  t.is(leafFault(leaf, { identity, names, authority, renewedSigns, now }), undefined);
  const { notBefore, notAfter } = inspectCertificate(leaf.certificate);
  const due = new Date(nextLeafCheck(leaf, authority));
  const share = (due.getTime() - notBefore.getTime()) / (notAfter.getTime() - notBefore.getTime());
  t.true(Math.abs(share - 2 / 3) < 1e-6);
  t.is(
    leafFault(leaf, { identity, names, authority, renewedSigns, now: new Date(due.getTime() - 1) }),
    undefined,
  );
  t.regex(leafFault(leaf, { identity, names, authority, renewedSigns, now: due }) ?? '', /two thirds/);
});

test('No mirror’s replicas have the common name of another mirror’s nodes', (t) => {
  const [node] = ['hub', 'hub-node', 'hub.node'].map((name) => nodeIdentity(name).commonName);
  for (const name of ['hub', 'hub-node', 'node']) t.not(replicaIdentity(name).commonName, node);
});

test('A leaf is made anew for other names, another key, or when there is none', async (t) => {
  const authority = await authorityAt(now);
  const leaf = await newLeaf({ identity, names, authority, renewedSigns, now });
  const other = await newLeaf({ identity, names, authority, renewedSigns, now });
  const fault = (candidate: typeof leaf | undefined, wanted = names) =>
    leafFault(candidate, { identity, names: wanted, authority, renewedSigns, now });
  t.regex(fault(leaf, [...names, 'new.example']) ?? '', /names/);
  t.regex(fault(leaf, names.slice(1)) ?? '', /names/);
  t.regex(fault({ ...leaf, key: other.key }) ?? '', /key/);
  t.truthy(fault({ ...leaf, certificate: 'nonsense' }));
  t.truthy(fault(undefined));
});

test('A renewed authority signs only where its time has come; until then the former one does', async (t) => {
  const old = await authorityAt(new Date(now.getTime() - 100 * dayMs));
  const leaf = await newLeaf({ identity, names, authority: old, renewedSigns: true, now });
  const renewed = { ...(await authorityAt(now)), previous: [old.certificatePem], former: old };
  const waiting = { identity, names, authority: renewed, renewedSigns: false, now };
  t.is(leafFault(leaf, waiting), undefined);
  t.regex(leafFault(leaf, { ...waiting, renewedSigns: true }) ?? '', /renewed/);

  const other = ['other.example'];
  t.regex(leafFault(leaf, { ...waiting, names: other }) ?? '', /names/, 'what cannot wait does not wait');
  const signedBy = (one: typeof leaf) => (isSignedBy(one, old) ? 'former' : 'renewed');
  t.is(signedBy(await newLeaf({ ...waiting, names: other })), 'former');
  t.is(signedBy(await newLeaf({ ...waiting, renewedSigns: true })), 'renewed');
  const { former: _lost, ...keyless } = renewed;
  t.is(signedBy(await newLeaf({ ...waiting, authority: keyless })), 'renewed');
  t.is(signedBy(await newLeaf({ ...waiting, now: later(3600 * dayMs) })), 'renewed', 'it expired');
});

test('What is not valid yet, because the clock was set back, is made anew and signed by nobody who is not valid yet', async (t) => {
  const ahead = later(365 * dayMs);
  const early = await authorityAt(ahead);
  t.true(needsRenewal(early, now));
  t.false(needsRenewal(early, ahead));
  const wanted = { identity, names, authority: await authorityAt(now), renewedSigns, now };
  const leaf = await newLeaf({ ...wanted, now: ahead });
  t.is(leafFault(leaf, wanted), 'it is not valid yet');
  t.is(leafFault(leaf, { ...wanted, now: ahead }), undefined);
  t.is(
    leafFault(await newLeaf(wanted), { ...wanted, now: later(-60_000) }),
    undefined,
    'clocks differ a little',
  );
  const renewed = { ...wanted.authority, previous: [early.certificatePem], former: early };
  t.true(isSignedBy(await newLeaf({ ...wanted, authority: renewed, renewedSigns: false }), renewed));
});

test('A renewed authority is kept with the key of the one before', async (t) => {
  const old = await authorityAt(new Date(now.getTime() - 100 * dayMs));
  const previous = [old.certificatePem];
  const authority = readAuthority(await newAuthoritySecret('mirrors', previous, now, old));
  t.deepEqual(authority.former, { certificatePem: old.certificatePem, keyPem: old.keyPem });
  t.not(authorityMark(authority), authorityMark(old));
  t.regex(authorityMark(old), /^[0-9a-f]{16}$/);
  const strange = await newAuthoritySecret('mirrors', previous, now, await authorityAt(now));
  t.is(readAuthority(strange).former, undefined, 'a key of nothing that is trusted');
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
  const leaf = await newLeaf({ identity, names, authority: readAuthority(secret), renewedSigns, now });
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
