import test from 'ava';
import { isMovedFrom } from '../../../../src/operator/registry-mirror/former-upstream.ts';
import { mirrorOf } from '../../resources/fixtures.ts';

const at = { upstreamUrl: 'https://new.example/hub' };

function moved(upstream?: string, configured?: string) {
  const mirror = { ...mirrorOf(at), ...(upstream && { status: { upstream } }) };
  const data = { 'broker.json': Buffer.from(configured ?? '').toString('base64') };
  const configSecret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, data };
  return isMovedFrom(mirror, configured ? { configSecret } : {});
}

const config = (host: string) => JSON.stringify({ mirrors: [{ upstream: { host } }] });

test('A mirror has moved where its status or its configuration names another upstream', (t) => {
  t.true(moved('old.example'));
  t.true(moved('new.example/hub', config('old.example')), 'it was held back when its spec was changed');
  t.true(moved('old.example/hub', config('new.example')), 'the pass ended before the pods were changed');
  t.false(moved('new.example/hub', config('new.example')));
  t.false(moved('new.example/other', config('new.example')), 'another path of one registry');
});

test('Where neither says anything, it has not', (t) => {
  t.false(moved());
  for (const text of ['{', 'null', '{"mirrors":[]}', '{"mirrors":"x"}'])
    t.false(moved(undefined, text), text);
});
