import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { createAuthority, issueLeaf, type KeyPair } from '../../../../src/cache/tls/authority.ts';
import { covers, inspectCertificate, signedBy } from '../../../../src/cache/tls/certificate.ts';

const names = ['mirror.example', '*.wild.example', '127.0.0.1', '::1', '[fd00::1]'];

test('openssl accepts a leaf as a server certificate for each of its names, under its strict rules', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'authority-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const authority = await createAuthority({ commonName: 'registry-mirror', days: 30 });
  const leaf = await issueLeaf(authority, { names, days: 10 });
  writeFileSync(join(dir, 'ca.crt'), authority.certificatePem);
  writeFileSync(join(dir, 'tls.crt'), leaf.certificatePem);
  const verify = (...flags: string[]) =>
    execFileSync(
      'openssl',
      [
        'verify',
        '-x509_strict',
        '-purpose',
        'sslserver',
        '-CAfile',
        join(dir, 'ca.crt'),
        ...flags,
        join(dir, 'tls.crt'),
      ],
      { stdio: 'pipe' },
    );
  t.notThrows(() => verify('-verify_hostname', 'mirror.example'));
  t.notThrows(() => verify('-verify_hostname', 'a.wild.example'));
  t.notThrows(() => verify('-verify_ip', '127.0.0.1'));
  t.notThrows(() => verify('-verify_ip', 'fd00::1'));
  t.throws(() => verify('-verify_hostname', 'other.example'));
});

test('a certificate covers exactly the names it was issued for', async (t) => {
  const { certificatePem } = await issue({ names, days: 10 });
  const covered = [
    'mirror.example',
    'MIRROR.example',
    'a.wild.example',
    '127.0.0.1',
    '::1',
    'fd00:0::1',
    '[fd00::1]',
  ];
  const refused = ['example', 'a.mirror.example', 'wild.example', 'a.b.wild.example', '127.0.0.2', '::2'];
  t.deepEqual(
    covered.filter((name) => !covers(certificatePem, name)),
    [],
  );
  t.deepEqual(
    refused.filter((name) => covers(certificatePem, name)),
    [],
  );
});

test('inspecting a certificate returns its names, dates and issuer', async (t) => {
  const now = new Date('2030-01-01T00:00:00Z');
  const authority = await createAuthority({ commonName: 'of mine', days: 30, now });
  const { certificatePem } = await issueLeaf(authority, { names, days: 10, now });
  const facts = inspectCertificate(certificatePem);
  t.deepEqual(facts.names, ['mirror.example', '*.wild.example', '127.0.0.1', '::1', 'fd00::1']);
  t.is(facts.notBefore.toISOString(), '2029-12-31T23:55:00.000Z');
  t.is(facts.notAfter.toISOString(), '2030-01-11T00:00:00.000Z');
  t.regex(facts.issuer, /^CN=of mine [0-9a-f]{8}$/);
  t.false(facts.isAuthority);
  t.true(inspectCertificate(authority.certificatePem).isAuthority);
});

test('a leaf does not outlive its authority', async (t) => {
  const authority = await createAuthority({ commonName: 'short', days: 5 });
  const leaf = await issueLeaf(authority, { names: ['a'], days: 10 });
  t.deepEqual(
    inspectCertificate(leaf.certificatePem).notAfter,
    inspectCertificate(authority.certificatePem).notAfter,
  );
});

test('two authorities of one name differ in name, and a leaf belongs to one of them only', async (t) => {
  const one = await createAuthority({ commonName: 'same', days: 5 });
  const other = await createAuthority({ commonName: 'same', days: 5 });
  const leaf = await issueLeaf(one, { names: ['a'], days: 1 });
  t.not(inspectCertificate(one.certificatePem).subject, inspectCertificate(other.certificatePem).subject);
  t.true(signedBy(leaf.certificatePem, one.certificatePem));
  t.false(signedBy(leaf.certificatePem, other.certificatePem));
});

test('a name that is neither a DNS name nor an address is refused', async (t) => {
  for (const name of ['', 'a b', 'a:443', 'a,DNS:b', '-a', '*', 'a.*.b', 'a\n']) {
    await t.throwsAsync(issue({ names: [name], days: 1 }), { instanceOf: TypeError }, name);
  }
});

test('text that holds no certificate is refused', (t) => {
  t.throws(() => inspectCertificate('nothing'), { instanceOf: TypeError });
});

async function issue(options: { names: string[]; days: number }): Promise<KeyPair> {
  return issueLeaf(await createAuthority({ commonName: 'test', days: 30 }), options);
}
