import test from 'ava';
import { parseMirrorsFile } from '../../../../src/config/mirrors-file.ts';
import type { KubeObject } from '../../../../src/kube/object.ts';
import { SharedMirrors } from '../../../../src/operator/shared-nodes/shared-list.ts';
import { listedIn } from '../../../../src/operator/shared-nodes/told-list.ts';
import { nodeMirror } from '../../../../src/resources/node-mirror.ts';
import { sharedNodesSecret } from '../../../../src/resources/shared-nodes.ts';
import { mirrorOf, settingsOf } from '../../resources/fixtures.ts';

const now = Date.parse('2026-01-01T00:00:00Z');
const identity = { leaf: { certificate: 'LEAF', key: 'KEY', ca: 'CA' }, authorities: 'PEERS' };

function listed(name: string) {
  const input = { mirror: mirrorOf({ upstreamUrl: `${name}.example` }, { name }), settings: settingsOf() };
  const mirror = nodeMirror(input, { clusterIPs: ['10.96.0.10'], nodePort: 29_001, certificateNames: [] });
  return { mirror, authorities: `AUTHORITIES OF ${name}` };
}

test('Whatever mirrors are called, their authorities take the place of nothing that agents show or trust', (t) => {
  const names = ['tls', 'ca', 'peer-ca', 'mirrors'];
  const secret = sharedNodesSecret(
    settingsOf(),
    { listed: names.map(listed), others: [], gone: [] },
    identity,
  );
  const data = Object.entries((secret as { data?: Record<string, string> }).data ?? {});
  const files = Object.fromEntries(data.map(([key, text]) => [key, Buffer.from(text, 'base64').toString()]));
  t.is(files['tls.crt'], 'LEAF');
  t.is(files['tls.key'], 'KEY');
  t.is(files['ca.crt'], 'CA');
  t.is(files['peer-ca.crt'], 'PEERS');
  const client = { certFile: '/c/tls.crt', keyFile: '/c/tls.key' };
  const { mirrors } = parseMirrorsFile(files['mirrors.json'] ?? '', '/c/mirrors.json', client);
  for (const { name, caFile } of mirrors)
    t.is(files[caFile.replace('/c/', '')], `AUTHORITIES OF ${name}`, 'operator and agent mean the same file');
  t.deepEqual(
    listedIn(secret as KubeObject).map(({ authorities }) => authorities),
    names.map((name) => `AUTHORITIES OF ${name}`),
  );
});

test('What is deleted or held back is said to be gone, but for what other agents wire and take back', (t) => {
  const mirrors = new SharedMirrors();
  mirrors.set('kept', listed('kept'));
  mirrors.set('deleted', listed('deleted'));
  mirrors.set('held', 'taken back');
  mirrors.set('own', 'elsewhere');
  const list = mirrors.listFor(['kept', 'held', 'new'], ['deleted', 'own'], undefined, now);
  t.deepEqual(
    [list.listed.map(({ mirror }) => mirror.name), list.others, list.gone],
    [['kept'], ['new', 'own'], ['deleted', 'held']],
  );
  const after = new SharedMirrors().listFor([], ['deleted'], undefined, now);
  t.deepEqual(after.gone, ['deleted'], 'an operator that starts goes on with it');
});
