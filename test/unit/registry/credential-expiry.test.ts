import test from 'ava';
import { credentialExpiry } from '../../../src/registry/credential-expiry.ts';

const json = (value: unknown, encoding: 'base64' | 'base64url') =>
  Buffer.from(JSON.stringify(value)).toString(encoding);
const jwt = (payload: unknown) => `${json({ alg: 'RS256' }, 'base64url')}.${json(payload, 'base64url')}.c2ln`;
const password = (text: string) => ({ kind: 'basic', username: 'AWS', password: text }) as const;

test('a JWT says when it ends, as a token and as a password', (t) => {
  const token = jwt({ exp: 1_800_000_000, sub: 'x' });
  t.is(credentialExpiry({ kind: 'bearer', token }), 1_800_000_000_000);
  t.is(credentialExpiry({ kind: 'identity', token }), 1_800_000_000_000);
  t.is(credentialExpiry(password(token)), 1_800_000_000_000);
});

test('so does a password of Amazon ECR', (t) => {
  const text = json({ payload: 'abc', datakey: 'def', version: '2', expiration: 1_800_000_000 }, 'base64');
  t.is(credentialExpiry(password(text)), 1_800_000_000_000);
});

for (const text of [
  'secret',
  'dckr_pat_abc',
  'a.b.c',
  'a.b',
  '..',
  jwt({ exp: 'soon' }),
  jwt({ exp: 1e300 }),
  // Milliseconds.
  jwt({ exp: 1_800_000_000_000 }),
  jwt({ exp: -1 }),
  jwt(null),
  jwt('text'),
  json({ expiration: null }, 'base64'),
]) {
  test(`nothing is known of ${text}`, (t) => t.is(credentialExpiry(password(text)), undefined));
}
