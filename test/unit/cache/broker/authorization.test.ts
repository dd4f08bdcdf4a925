import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { BrokerMirror } from '../../../../src/cache/broker/broker-config.ts';
import { mirrorOf, startBroker } from '../../../support/broker.ts';
import { makeAuthority, makeLeaf } from '../../../support/certificates.ts';
import { eventually } from '../../../support/eventually.ts';
import { startScriptableUpstream } from '../../../support/scriptable-upstream.ts';

const username = 'mirror-user';
const password = 'hunter2-secret';
const ociManifest = 'application/vnd.oci.image.manifest.v1+json';

/** A private registry over TLS with a manifest and a blob, and a broker that has (or has not) its credentials. */
async function setUp(
  t: ExecutionContext,
  options: { credentials?: boolean; mirror?: Partial<BrokerMirror> } = {},
) {
  const dir = mkdtempSync(join(tmpdir(), 'authorization-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const authority = await makeAuthority(dir);
  const leaf = await makeLeaf(authority, ['127.0.0.1', '127.0.0.2', 'localhost']);
  const tls = { cert: leaf.certificatePem, key: leaf.keyPem };
  const upstream = await startScriptableUpstream({ tls, cdnAddress: '127.0.0.2' });
  t.teardown(() => upstream.close());
  const show = (user: string, pass: string) => {
    writeFileSync(join(dir, 'username'), `${user}\n`);
    writeFileSync(join(dir, 'password'), `${pass}\n`);
  };
  if (options.credentials !== false) show(username, password);
  const blob = randomBytes(50_000);
  const digest = upstream.addBlob(blob);
  upstream.addManifest('a/b', 'v1', { schemaVersion: 2, mediaType: ociManifest, layers: [] });
  const mirror = mirrorOf(`https://${upstream.host}`, {
    caFiles: [authority.file],
    credentials: [{ prefix: '', dir }],
    ...options.mirror,
  });
  const broker = await startBroker(t, [mirror]);
  const getBlob = () => broker.get(`/m/v2/a/b/blobs/${digest}`, { range: 'bytes=0-1048575' });
  const getTag = () => broker.get('/m/v2/a/b/manifests/v1', { 'x-registry-accept': 'any' });
  const sent = (origin: string) =>
    upstream.seen.filter((request) => request.origin === origin).map(({ headers }) => headers.authorization);
  const state = async () => JSON.parse((await broker.get('/-/status')).body.toString()).mirrors[0];
  return { upstream, broker, blob, digest, getBlob, getTag, show, sent, dir, state };
}

test('Basic credentials are shown when they are asked for, and from then on at once', async (t) => {
  const { upstream, getBlob, getTag, sent, blob } = await setUp(t);
  upstream.auth = { kind: 'basic', username, password };
  t.true((await getBlob()).body.equals(blob));
  t.is((await getTag()).status, 200);
  const header = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  t.deepEqual(sent('registry'), [undefined, header, header]);
});

test('a token is fetched once for a repository and used for all of it', async (t) => {
  const { upstream, getBlob, getTag, blob } = await setUp(t);
  upstream.auth = { kind: 'bearer', username, password };
  t.true((await getBlob()).body.equals(blob));
  t.is((await getTag()).status, 200);
  t.is(upstream.counters.tokens, 1);
  t.regex(
    upstream.seen.find(({ origin }) => origin === 'token')?.url ?? '',
    /scope=repository%3Aa%2Fb%3Apull$/,
  );
});

test('a public registry that wants tokens gives them to nobody in particular', async (t) => {
  const { upstream, getBlob, sent, blob } = await setUp(t, { credentials: false });
  upstream.auth = { kind: 'bearer' };
  t.true((await getBlob()).body.equals(blob));
  t.deepEqual(sent('token'), [undefined]);
});

for (const [what, script] of Object.entries({
  'whose token server fails': { tokenStatus: 500 },
  'whose token server refuses us': { tokenStatus: 403 },
  'whose tokens are not taken': {},
})) {
  test(`of two schemes one ${what} is made up for by the other`, async (t) => {
    const { upstream, getBlob, getTag, sent, blob } = await setUp(t);
    const challenge = `Bearer realm="https://${upstream.host}/token",service="x", Basic realm="y"`;
    upstream.auth = { kind: 'basic', username, password, challenge, ...script };
    t.true((await getBlob()).body.equals(blob));
    const asked = sent('registry').length;
    t.is((await getTag()).status, 200);
    t.is(sent('registry').length, asked + 1, 'what worked is sent at once from then on');
    t.is(upstream.counters.tokens, 1);
  });
}

test('credentials that changed on disk are taken when the old ones are refused with 403', async (t) => {
  const { upstream, getTag, show } = await setUp(t);
  upstream.auth = { kind: 'basic', username, password };
  t.is((await getTag()).status, 200);
  upstream.auth = { kind: 'basic', username, password: 'rotated', refusal: 403 };
  show(username, 'rotated');
  t.is((await getTag()).status, 200);
});

test('where the mirror decides who reads, no client hears the upstream’s challenge', async (t) => {
  for (const access of ['publicOnly', 'shared'] as const) {
    const { upstream, broker, digest } = await setUp(t, { mirror: { access } });
    upstream.auth = { kind: 'basic', username: 'another', password: 'one' };
    for (const object of ['manifests/v1', 'tags/list', `blobs/${digest}`]) {
      const asked = { authorization: 'Basic YTph' };
      const { status, headers } = await broker.get(`/m/v2/a/b/${object}`, asked);
      t.deepEqual([status, headers['www-authenticate']], [401, undefined], access);
    }
  }
});

test('another registry that asks for a token without a scope is asked for its own repository', async (t) => {
  const { upstream, getTag, sent } = await setUp(t);
  upstream.auth = { kind: 'basic', username, password };
  upstream.addManifest('prod/a/b', 'v1', { schemaVersion: 2, mediaType: ociManifest, layers: [] });
  upstream.redirect = { manifests: `https://${upstream.cdnHost}/v2/prod/a/b/manifests/v1` };
  upstream.cdnAuth = { kind: 'bearer' };
  t.is((await getTag()).status, 200);
  t.deepEqual(sent('token'), [undefined]);
  t.regex(
    upstream.seen.find(({ origin }) => origin === 'token')?.url ?? '',
    /scope=repository%3Aprod%2Fa%2Fb%3Apull$/,
  );
});

test('a token server of another domain is not shown the credentials', async (t) => {
  const { upstream, broker, getBlob, sent, state } = await setUp(t);
  const port = upstream.cdnHost.split(':')[1];
  upstream.auth = { kind: 'bearer', username, password, realm: `https://127.0.0.2:${port}/token` };
  upstream.cdnAuth = { kind: 'bearer' };
  await getBlob();
  t.deepEqual([...new Set(sent('token'))], [undefined]);
  t.true(broker.log.some((line) => line.includes('Credentials withheld')));
  t.is((await state()).credentialsWithheld, `127.0.0.2:${port}`);
});

test('credentials count as withheld until the upstream names a token server that is shown them', async (t) => {
  const { upstream, broker, getBlob, state } = await setUp(t);
  upstream.auth = { kind: 'bearer', username, password, realm: `https://${upstream.cdnHost}/token` };
  upstream.cdnAuth = { kind: 'bearer' };
  await getBlob();
  t.is((await state()).credentialsWithheld, upstream.cdnHost);
  upstream.auth = { kind: 'bearer', username, password };
  await broker.get('/m/v2/another/repository/manifests/v1');
  t.is((await state()).credentialsWithheld, undefined);
});

test('a token server that the administrator named is shown the credentials', async (t) => {
  const { upstream, getBlob, blob, state } = await setUp(t, { mirror: { tokenHosts: ['127.0.0.2'] } });
  upstream.auth = { kind: 'bearer', username, password, realm: `https://${upstream.cdnHost}/token` };
  upstream.cdnAuth = { kind: 'bearer', username, password };
  t.true((await getBlob()).body.equals(blob));
  t.is((await state()).credentialsWithheld, undefined);
});

for (const kind of ['basic', 'bearer'] as const) {
  test(`no ${kind} authorization reaches the target of a redirect`, async (t) => {
    const { upstream, getBlob, getTag, sent, blob } = await setUp(t);
    upstream.auth = { kind, username, password };
    upstream.redirect = { blobs: true, manifests: true };
    t.true((await getBlob()).body.equals(blob));
    t.is((await getTag()).status, 200);
    t.deepEqual([...new Set(sent('cdn'))], [undefined]);
  });

  test(`a redirect target that asks for ${kind} itself never gets our credentials`, async (t) => {
    const { upstream, getTag, sent } = await setUp(t);
    upstream.auth = { kind: 'basic', username, password };
    upstream.redirect = { manifests: true };
    upstream.cdnAuth = { kind, username, password };
    t.is((await getTag()).status, 401);
    t.true([...sent('cdn'), ...sent('token')].every((header) => header === undefined));
  });
}

test('a manifest redirected to another registry gets a token of that registry’s own, asked for anonymously', async (t) => {
  const { upstream, getTag, sent } = await setUp(t);
  upstream.auth = { kind: 'basic', username, password };
  upstream.redirect = { manifests: true };
  upstream.cdnAuth = { kind: 'bearer' };
  t.is((await getTag()).status, 200);
  t.deepEqual(sent('token'), [undefined]);
  t.regex(sent('cdn').at(-1) ?? '', /^Bearer /);
});

test('a repository that does not exist costs one request each time, not a token', async (t) => {
  const { upstream, broker } = await setUp(t);
  upstream.auth = { kind: 'bearer', username, password };
  upstream.denied = 'a/none';
  for (const tag of ['v1', 'v2', 'v3']) t.is((await broker.get(`/m/v2/a/none/manifests/${tag}`)).status, 401);
  t.is(upstream.counters.tokens, 1);
  t.is(upstream.counters.requests, 4);
});

test('a token server that is late makes a revalidation 504 after a second', async (t) => {
  const { upstream, broker } = await setUp(t);
  upstream.auth = { kind: 'bearer', username, password, tokenDelayMs: 3_000 };
  const known = `"sha256:${'0'.repeat(64)}"`;
  t.is((await broker.get('/m/v2/a/b/manifests/v1', { 'if-none-match': known })).status, 504);
});

test('a HEAD that is redirected to a URL signed for GET falls back to GET', async (t) => {
  const { upstream, broker } = await setUp(t);
  upstream.redirect = { manifests: true };
  upstream.cdnFaults = { headStatus: 403 };
  t.is((await broker.get('/m/v2/a/b/manifests/v1', {}, 'HEAD')).status, 200);
});

for (const kind of ['basic', 'bearer'] as const) {
  test(`credentials that changed on disk are taken at once when ${kind} refuses the old ones`, async (t) => {
    const { upstream, getTag, show, state } = await setUp(t);
    upstream.auth = { kind, username, password };
    t.is((await getTag()).status, 200);
    upstream.auth = { kind, username, password: 'rotated', expiresIn: 300 };
    show(username, 'rotated');
    t.is((await getTag()).status, 200);
    t.is((await state()).upstream.reason, 'Ok');
  });

  test(`credentials that ${kind} refuses are 401 without a challenge, and the status says so`, async (t) => {
    const { upstream, getTag, state } = await setUp(t);
    upstream.auth = { kind, username, password: 'another' };
    const answer = await getTag();
    t.is(answer.status, 401);
    t.is(answer.headers['www-authenticate'], undefined);
    t.is((await state()).upstream.reason, 'Unauthorized');
  });
}

test('credentials that disappear leave the last ones in force and say so', async (t) => {
  const { upstream, broker, getTag, dir } = await setUp(t);
  upstream.auth = { kind: 'basic', username, password };
  rmSync(join(dir, 'username'));
  rmSync(join(dir, 'password'));
  await eventually(() => {
    if (!broker.log.some((line) => line.includes('Credentials missing'))) throw new Error('not yet');
  });
  t.is((await getTag()).status, 200);
});

test('a token server that fails is 502, one that has had enough 503', async (t) => {
  const { upstream, getTag } = await setUp(t);
  upstream.auth = { kind: 'bearer', tokenStatus: 500 };
  t.is((await getTag()).status, 502);
  const other = await setUp(t);
  other.upstream.auth = { kind: 'bearer', tokenStatus: 429 };
  t.is((await other.getTag()).status, 503);
});

for (const [what, location] of Object.entries({
  'plain http': 'http://127.0.0.1:1/x',
  'a file': 'file:///etc/passwd',
  'a private address': 'https://10.0.0.1/x',
  'a metadata service': 'https://169.254.169.254/latest',
  'nothing that is a URL': 'https://',
})) {
  test(`a redirect to ${what} is refused`, async (t) => {
    const { upstream, getBlob, getTag } = await setUp(t);
    upstream.redirect = { blobs: location, manifests: location };
    t.is((await getBlob()).status, 502);
    t.is((await getTag()).status, 502);
  });
}

test('a redirect that never ends is given up', async (t) => {
  const { upstream, getTag } = await setUp(t);
  upstream.redirect = { manifests: '/v2/a/b/manifests/v1' };
  t.is((await getTag()).status, 502);
  t.is(upstream.counters.redirects, 6);
});

test('a redirect within the upstream’s own origin keeps the authorization', async (t) => {
  const { upstream, broker, sent } = await setUp(t);
  upstream.auth = { kind: 'basic', username, password };
  upstream.redirect = { manifests: '/v2/a/b/blobs/x' };
  await broker.get('/m/v2/a/b/manifests/v1');
  t.true(
    sent('registry')
      .slice(1)
      .every((header) => header?.startsWith('Basic ')),
  );
});

test('over plain http no credentials are sent', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'authorization-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, 'username'), username);
  writeFileSync(join(dir, 'password'), password);
  for (const kind of ['basic', 'bearer'] as const) {
    const upstream = await startScriptableUpstream();
    t.teardown(() => upstream.close());
    upstream.auth = { kind, username, password };
    const broker = await startBroker(t, [
      mirrorOf(`http://${upstream.host}`, { credentials: [{ prefix: '', dir }] }),
    ]);
    t.is((await broker.get('/m/v2/a/b/manifests/v1')).status, 401);
    t.true(upstream.seen.every(({ headers }) => headers.authorization === undefined));
  }
});

test('neither credentials nor tokens nor signed URLs appear in the log, the status or an error', async (t) => {
  const { upstream, broker, sent } = await setUp(t);
  const answers: string[] = [];
  let round = 0;
  for (const kind of ['basic', 'bearer'] as const) {
    for (const redirect of [{}, { blobs: true, manifests: true }, { blobs: true, uses: 0 }]) {
      for (const faults of [{}, { status: 500 }, { portal: true }, { breakAfter: 10 }, { status: 429 }]) {
        upstream.auth = { kind, username, password };
        upstream.redirect = redirect;
        Object.assign(upstream, { faults, cdnFaults: faults });
        // Objects of their own: a failure stands for a moment.
        round++;
        upstream.addManifest('a/b', `round-${round}`, { round });
        const blob = upstream.addBlob(Buffer.from(`round ${round}`));
        for (const path of [`manifests/round-${round}`, `blobs/${blob}`]) {
          const answer = await broker.get(`/m/v2/a/b/${path}`).catch(() => undefined);
          if (answer !== undefined && answer.status >= 400) answers.push(answer.body.toString());
        }
      }
    }
  }
  answers.push((await broker.get('/-/status')).body.toString(), ...broker.log);
  const secrets = [...sent('registry'), ...sent('token')].flatMap((header) => header?.split(' ')[1] ?? []);
  const signatures = upstream.seen.flatMap(({ url }) => /sig=(.+)$/.exec(url)?.[1] ?? []);
  t.true(secrets.length > 0 && signatures.length > 0);
  for (const secret of new Set([password, ...secrets, ...signatures])) {
    t.false(answers.some((text) => text.includes(secret)));
  }
});
