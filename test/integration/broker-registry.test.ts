/** The broker against Debian's docker-registry over TLS: htpasswd, and tokens signed by a token server. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { mirrorOf, sliceBytes, startBroker } from '../support/broker.ts';
import { makeImage } from '../support/images.ts';
import { pushImage, startRegistry, type TestRegistry } from '../support/registry.ts';
import { startTokenServer } from '../support/token-server.ts';

const credentials = { username: 'mirror-user', password: 'hunter2-secret' };
const image = makeImage({ tag: 'v1', seed: 'broker', layerSizes: [3_000_000, 1_000] });
const manifest = image.manifests[0]!;

function tempDir(t: ExecutionContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'broker-registry-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

async function brokerFor(
  t: ExecutionContext,
  registry: TestRegistry,
  dir: string,
  shown?: typeof credentials,
) {
  if (shown !== undefined) {
    writeFileSync(join(dir, 'username'), shown.username);
    writeFileSync(join(dir, 'password'), shown.password);
  }
  const files = { caFiles: [registry.authority.file], credentials: [{ prefix: '', dir }] };
  return startBroker(t, [mirrorOf(`https://${registry.host}`, files)]);
}

type Broker = Awaited<ReturnType<typeof brokerFor>>;

/** Pulls the image in slices, as nginx does, and compares every byte. */
async function assertPulls(t: ExecutionContext, broker: Broker, repository: string): Promise<void> {
  for (const reference of ['v1', manifest.digest]) {
    const answer = await broker.get(`/m/v2/${repository}/manifests/${reference}`, {
      'x-registry-accept': 'any',
    });
    t.is(answer.status, 200, answer.body.toString());
    t.true(answer.body.equals(manifest.content));
    t.is(answer.headers['content-type'], manifest.mediaType);
    t.is(answer.headers['docker-content-digest'], manifest.digest);
  }
  for (const { digest, content } of image.blobs) {
    for (let start = 0; start < content.length; start += sliceBytes) {
      const range = `bytes=${start}-${start + sliceBytes - 1}`;
      const answer = await broker.get(`/m/v2/${repository}/blobs/${digest}`, { range });
      const end = Math.min(start + sliceBytes, content.length);
      t.is(answer.status, 206);
      t.is(answer.headers['content-range'], `bytes ${start}-${end - 1}/${content.length}`);
      t.true(answer.body.equals(content.subarray(start, end)));
    }
  }
}

test('an image is pulled in exact bytes from a registry with htpasswd; a tag is revalidated and listed', async (t) => {
  const dir = tempDir(t);
  const registry = await startRegistry(join(dir, 'registry'), { credentials });
  t.teardown(registry.stop);
  await pushImage(registry, 'team/app', image);
  const broker = await brokerFor(t, registry, dir, credentials);
  await assertPulls(t, broker, 'team/app');
  const known = { 'if-none-match': `"${manifest.digest}"`, 'x-registry-accept': 'any' };
  t.is((await broker.get('/m/v2/team/app/manifests/v1', known)).status, 304);
  const list = await broker.get('/m/v2/team/app/tags/list');
  t.deepEqual(JSON.parse(list.body.toString()), { name: 'team/app', tags: ['v1'] });
  t.is((await broker.get('/m/v2/team/app/manifests/none')).status, 404);
  t.is((await broker.get('/m/v2/team/none/manifests/v1')).status, 404);
});

test('an image is pulled from a registry that takes signed tokens; one token serves a repository', async (t) => {
  const dir = tempDir(t);
  const open = await startRegistry(join(dir, 'registry'));
  t.teardown(open.stop);
  for (const repository of ['team/app', 'public/app']) await pushImage(open, repository, image);
  await open.stop();
  const { authority } = open;
  const tokens = await startTokenServer({ authority, ...credentials, publicPrefix: 'public' });
  t.teardown(() => tokens.close());
  const registry = await startRegistry(join(dir, 'registry'), { authority, auth: tokens.registryAuth });
  t.teardown(registry.stop);

  const broker = await brokerFor(t, registry, dir, credentials);
  await assertPulls(t, broker, 'team/app');
  t.is(tokens.asked.length, 1);
  t.is(tokens.asked[0]?.user, credentials.username);

  const anonymous = await startBroker(t, [
    mirrorOf(`https://${registry.host}`, { caFiles: [authority.file] }),
  ]);
  await assertPulls(t, anonymous, 'public/app');
  const refused = await anonymous.get('/m/v2/team/app/manifests/v1', { 'x-registry-accept': 'any' });
  t.is(refused.status, 401);
  t.is(refused.headers['www-authenticate'], undefined);

  const log = [...broker.log, ...anonymous.log].join('');
  for (const secret of [credentials.password, ...tokens.issued]) t.false(log.includes(secret));
});

test('credentials that the registry does not take are 401, and are taken again once they are right', async (t) => {
  const dir = tempDir(t);
  const registry = await startRegistry(join(dir, 'registry'), { credentials });
  t.teardown(registry.stop);
  await pushImage(registry, 'team/app', image);
  const broker = await brokerFor(t, registry, dir, { ...credentials, password: 'wrong' });
  t.is((await broker.get('/m/v2/team/app/manifests/v1')).status, 401);
  writeFileSync(join(dir, 'password'), credentials.password);
  await assertPulls(t, broker, 'team/app');
});

test('a registry that is stopped is 502 and is asked again as soon as it is back', async (t) => {
  const dir = tempDir(t);
  const registry = await startRegistry(join(dir, 'registry'));
  t.teardown(registry.stop);
  await pushImage(registry, 'team/app', image);
  const broker = await brokerFor(t, registry, dir);
  await assertPulls(t, broker, 'team/app');
  await registry.stop();
  t.is((await broker.get('/m/v2/team/app/manifests/v1')).status, 502);
  await registry.start();
  await assertPulls(t, broker, 'team/app');
});
