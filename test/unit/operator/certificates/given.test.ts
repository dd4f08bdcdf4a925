import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { judgePair } from '../../../../src/operator/certificates/given.ts';

const now = new Date();

function selfSigned(t: ExecutionContext, bits: number) {
  const dir = mkdtempSync(join(tmpdir(), 'given-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const [key, certificate] = [join(dir, 'key'), join(dir, 'crt')];
  const subject = ['-subj', '/CN=m.example', '-addext', 'subjectAltName=DNS:m.example'];
  const args = [
    'req',
    '-x509',
    '-newkey',
    `rsa:${bits}`,
    '-nodes',
    '-keyout',
    key,
    '-out',
    certificate,
    ...subject,
  ];
  execFileSync('openssl', args, { stdio: 'ignore' });
  return { certificate: readFileSync(certificate, 'utf8'), key: readFileSync(key, 'utf8') };
}

test('a certificate that nginx would load is usable for the names it covers', (t) => {
  const judged = judgePair('s', selfSigned(t, 2048), ['m.example', 'other'], now);
  t.like(judged, { state: 'usable', names: ['m.example'] });
});

test('a key too short for nginx is unusable, and said so', (t) => {
  const judged = judgePair('s', selfSigned(t, 1024), ['m.example'], now);
  t.is(judged.state, 'unusable');
  t.regex('why' in judged ? judged.why : '', /TLS refuses it: .*key too small/);
});
