import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { parseUpstream } from '../../../../src/api/upstream.ts';
import { mirrorCredentials } from '../../../../src/cache/broker/mirror-credentials.ts';
import { upstreamPrefixes, upstreamRepository } from '../../../../src/cache/broker/upstream-repository.ts';
import { createLogger } from '../../../../src/observe/log.ts';
import { mirrorOf, openTestMirror, startBroker } from '../../../support/broker.ts';
import { makeAuthority, makeLeaf } from '../../../support/certificates.ts';
import { startScriptableUpstream } from '../../../support/scriptable-upstream.ts';

function tempDir(t: ExecutionContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'repository-credentials-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** Writes a Secret as the kubelet mounts it: all files change at once. */
function writeSecret(dir: string, files: Record<string, string>, version = 1): void {
  const data = join(dir, `..${version}`);
  mkdirSync(data, { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(data, name), text);
  symlinkSync(`..${version}`, join(dir, '..new'));
  renameSync(join(dir, '..new'), join(dir, '..data'));
}

/** Which of the places (named as their user) a repository, as clients write it, gets. */
async function chosen(t: ExecutionContext, upstreamUrl: string, prefixes: string[]) {
  const root = tempDir(t);
  const places = prefixes.map((prefix, at) => ({ prefix, dir: join(root, String(at)) }));
  for (const { prefix, dir } of places) writeSecret(dir, { username: prefix || 'all', password: 'x' });
  const config = mirrorOf(upstreamUrl, { credentials: places });
  const credentials = mirrorCredentials(config, createLogger({ level: 'silent' }));
  await credentials.reread();
  return (repository: string) => {
    const found = credentials.of(upstreamRepository(config.upstream, repository)).current();
    return found?.kind === 'basic' ? found.username : undefined;
  };
}

test('the longest prefix by whole segments decides', async (t) => {
  const of = await chosen(t, 'registry.example', ['team', '', 'team/a/b', 'team/a']);
  t.is(of('team/x'), 'team');
  t.is(of('team'), 'team');
  t.is(of('teams/x'), 'all');
  t.is(of('team/a'), 'team/a');
  t.is(of('team/ab'), 'team');
  t.is(of('team/a/b/c'), 'team/a/b');
  t.is(of('other'), 'all');
});

test('what lies below no prefix has no credentials', async (t) => {
  const of = await chosen(t, 'registry.example', ['team']);
  t.is(of('other/x'), undefined);
});

test('prefixes are those of clients, not of an upstream with a path before its repositories', async (t) => {
  const of = await chosen(t, 'harbor.example/team', ['team', '']);
  t.is(of('team/x'), 'team');
  t.is(of('x'), 'all');
});

test('on Docker Hub `library` and a name of one segment mean the same', async (t) => {
  const of = await chosen(t, 'docker.io', ['library', 'nginx', 'me']);
  t.is(of('alpine'), 'library');
  t.is(of('library/alpine'), 'library');
  t.is(of('nginx'), 'nginx');
  t.is(of('library/nginx'), 'nginx');
  t.is(of('nginx/unit'), 'nginx');
  t.is(of('me/app'), 'me');
  t.is(of('you/app'), undefined);
});

const name = fc
  .array(fc.constantFrom('a', 'b', 'library'), { minLength: 1, maxLength: 3 })
  .map((parts) => parts.join('/'));

test('a repository lies below a prefix upstream exactly where it does for clients', (t) => {
  for (const url of ['registry.example', 'harbor.example/a/b']) {
    const upstream = parseUpstream(url);
    fc.assert(
      fc.property(name, name, (repository, prefix) => {
        const [place = ''] = upstreamPrefixes(upstream, prefix);
        const below = `${upstreamRepository(upstream, repository)}/`.startsWith(`${place}/`);
        t.is(below, `${repository}/`.startsWith(`${prefix}/`));
      }),
    );
  }
});

test('of a docker configuration the entry closest to the prefix counts', async (t) => {
  const dir = tempDir(t);
  const entry = (user: string) => ({ auth: Buffer.from(`${user}:x`).toString('base64') });
  const auths = { 'registry.example': entry('all'), 'registry.example/team': entry('team') };
  writeSecret(dir, { '.dockerconfigjson': JSON.stringify({ auths }) });
  for (const [prefix, username] of [
    ['', 'all'],
    ['team', 'team'],
    ['team/a', 'team'],
    ['other', 'all'],
  ] as const) {
    const config = mirrorOf('registry.example', { credentials: [{ prefix, dir }] });
    const credentials = mirrorCredentials(config, createLogger({ level: 'silent' }));
    await credentials.reread();
    t.like(credentials.of(prefix || 'x').current(), { username });
  }
});

test('the report says what is wrong with credentials that lie there, and nothing that is in them', async (t) => {
  const dir = tempDir(t);
  const [all, team, missing] = ['all', 'team', 'missing'].map((name) => join(dir, name)) as [
    string,
    string,
    string,
  ];
  const auths = { 'elsewhere.example': { auth: Buffer.from('me:of-somebody').toString('base64') } };
  writeSecret(all, { '.dockerconfigjson': JSON.stringify({ auths }) });
  writeSecret(team, { username: 'me:of-somebody', password: 'x' });
  const credentials = [
    { prefix: '', dir: all },
    { prefix: 'team', dir: team },
    { prefix: 'other', dir: missing },
  ];
  const mirror = await openTestMirror(t, mirrorOf('registry.example', { credentials }));
  const { credentialsUnusable = '', credentials: state } = mirror.report();
  t.is(state, 'none');
  t.regex(
    credentialsUnusable,
    /^\.dockerconfigjson: expected an entry for registry\.example, got none; for what is below team: username: /,
  );
  t.notRegex(credentialsUnusable, /elsewhere|somebody|other/);
  writeSecret(all, { token: 'x' }, 2);
  writeSecret(team, { username: 'me', password: 'x' }, 2);
  await mirror.refresh();
  t.is(mirror.report().credentialsUnusable, undefined);
  writeSecret(all, { username: '', password: '' }, 3);
  await mirror.refresh();
  t.truthy(mirror.report().credentialsUnusable, 'what worked stays in force, and the next start has nothing');
  t.is(mirror.report().credentials, 'present');
});

test('the report says when the first of them expires that says so', async (t) => {
  const root = tempDir(t);
  const passwords = [2_000_000_000, 1_900_000_000].map((expiration) =>
    Buffer.from(JSON.stringify({ expiration })).toString('base64'),
  );
  const places = [...passwords, 'opaque'].map((password, at) => {
    const dir = join(root, String(at));
    writeSecret(dir, { username: 'AWS', password });
    return { prefix: `p${at}`, dir };
  });
  const mirror = await openTestMirror(t, mirrorOf('registry.example', { credentials: places }));
  t.is(mirror.report().credentialsExpire, new Date(1_900_000_000_000).toISOString());
});

/** A registry over TLS and a broker with credentials of its own for `a` and `b`. */
async function setUp(t: ExecutionContext) {
  const dir = tempDir(t);
  const authority = await makeAuthority(dir);
  const leaf = await makeLeaf(authority, ['127.0.0.1']);
  const upstream = await startScriptableUpstream({ tls: { cert: leaf.certificatePem, key: leaf.keyPem } });
  t.teardown(() => upstream.close());
  const dirs = { a: join(dir, 'a'), b: join(dir, 'b') };
  for (const [user, place] of Object.entries(dirs)) writeSecret(place, { username: user, password: 'one' });
  const broker = await startBroker(t, [
    mirrorOf(`https://${upstream.host}`, {
      caFiles: [authority.file],
      credentials: Object.entries(dirs).map(([prefix, place]) => ({ prefix, dir: place })),
    }),
  ]);
  let count = 0;
  const pull = async (repository: string) => {
    const tag = `v${count++}`;
    upstream.addManifest(repository, tag, { schemaVersion: 2, layers: [], tag });
    return (await broker.get(`/m/v2/${repository}/manifests/${tag}`)).status;
  };
  return { upstream, broker, dirs, pull };
}

function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

test('Basic that one repository was asked for shows others their own credentials, or none', async (t) => {
  const { upstream, pull } = await setUp(t);
  upstream.auth = { kind: 'basic', username: 'a', password: 'one' };
  t.is(await pull('a/x'), 200);
  t.is(await pull('b/x'), 401);
  t.is(await pull('c/x'), 401);
  for (const { url, headers } of upstream.seen) {
    const own = { a: basic('a', 'one'), b: basic('b', 'one') }[url.split('/')[2] ?? ''];
    t.true(headers.authorization === undefined || headers.authorization === own, url);
  }
  t.true(upstream.seen.some(({ headers }) => headers.authorization === basic('b', 'one')));
});

test('tokens are asked for with the credentials of their repository, and none is used for another', async (t) => {
  const { upstream, pull } = await setUp(t);
  upstream.auth = { kind: 'bearer', scope: 'the-same-for-all' };
  for (const repository of ['a/x', 'b/x', 'c/x', 'a/y']) t.is(await pull(repository), 200);
  const asked = upstream.seen.filter(({ origin }) => origin === 'token');
  t.deepEqual(
    asked.map(({ headers }) => headers.authorization),
    [basic('a', 'one'), basic('b', 'one'), undefined],
  );
  const shown = (first: string) =>
    upstream.seen
      .filter(({ origin, url }) => origin === 'registry' && url.startsWith(`/v2/${first}/`))
      .flatMap(({ headers }) => headers.authorization ?? []);
  t.is(new Set(['a', 'b', 'c'].flatMap(shown)).size, 3);
  t.is(new Set(shown('a')).size, 1);
});

for (const kind of ['basic', 'bearer'] as const) {
  test(`credentials that ${kind} replaces all the time under load fail no pull`, async (t) => {
    const { upstream, dirs, pull } = await setUp(t);
    const password = (version: number) => `secret-${version}`;
    const rotate = (version: number) => {
      writeSecret(dirs.a, { username: 'a', password: password(version) }, version + 1);
      upstream.auth = { kind, username: 'a', password: password(version) };
      upstream.revokeTokens();
    };
    rotate(1);
    const statuses: number[] = [];
    for (let version = 2; version < 12; version++) {
      const pulls = Array.from({ length: 10 }, () => pull('a/x'));
      await Promise.race(pulls);
      rotate(version);
      statuses.push(...(await Promise.all(pulls)));
      await nextTurn();
    }
    t.deepEqual([...new Set(statuses)], [200]);
  });
}

for (const access of ['publicOnly', 'passThrough'] as const) {
  test(`${access}: the mirror’s credentials are for nobody`, async (t) => {
    const dir = tempDir(t);
    writeSecret(dir, { username: 'a', password: 'one' });
    const config = mirrorOf('registry.example', { credentials: [{ prefix: '', dir }], access });
    const credentials = mirrorCredentials(config, createLogger({ level: 'silent' }));
    await credentials.reread();
    t.false(credentials.present());
    t.is(credentials.of('a/b').current(), undefined);
  });
}

test('the status says present as soon as any repository has credentials', async (t) => {
  const { broker } = await setUp(t);
  const { mirrors } = JSON.parse((await broker.get('/-/status')).body.toString());
  t.is(mirrors[0].credentials, 'present');
});
