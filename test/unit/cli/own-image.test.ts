import assert from 'node:assert/strict';
import test, { type ExecutionContext } from 'ava';
import { type OwnImageOptions, readOwnImage } from '../../../src/cli/own-image.ts';
import { ConfigError } from '../../../src/config/problems.ts';
import { createClient } from '../../../src/kube/client.ts';
import type { KubeObject } from '../../../src/kube/object.ts';
import { createLogger } from '../../../src/observe/log.ts';
import { pods } from '../../../src/operator/resource-types.ts';
import { eventually } from '../../support/eventually.ts';
import { startFakeApiServer } from '../../support/fake-api-server.ts';

const byDigest = `registry.example/mirrors/operator@sha256:${'a'.repeat(64)}`;

test('the image is that of the container named operator among others, as it is written', async (t) => {
  const { read } = await setUp(t, [
    { name: 'istio-proxy', image: 'proxy:1' },
    { name: 'operator', image: byDigest },
  ]);
  t.is(await read(), byDigest);
});

test('a container of another name is it where it is the only one', async (t) => {
  const { read } = await setUp(t, [{ name: 'mirror-operator', image: 'operator:1' }]);
  t.is(await read(), 'operator:1');
});

test('of several containers none of which is named operator, and without the pod, one line says what is expected', async (t) => {
  const containers = [
    { name: 'mirror-operator', image: 'operator:1' },
    { name: 'istio-proxy', image: 'proxy:1' },
  ];
  const { read } = await setUp(t, containers);
  const ambiguous = await t.throwsAsync(read(), { instanceOf: ConfigError });
  t.regex(ambiguous?.message ?? '', /^OPERATOR_IMAGE: expected .* ours\/operator-1 .* no container operator/);
  const none = await t.throwsAsync((await setUp(t)).read(), { instanceOf: ConfigError });
  t.regex(none?.message ?? '', /^OPERATOR_IMAGE: expected .* there is no pod ours\/operator-1$/);
});

test('an API server that is away or refuses is asked again, and each cause is told once', async (t) => {
  const { fake, read, log } = await setUp(t, [{ name: 'operator', image: byDigest }]);
  const refusal = JSON.stringify({ kind: 'Status', message: 'pods is forbidden', reason: 'Forbidden' });
  fake.fail(['reset', { status: 403, body: refusal }, { status: 403, body: refusal }, { status: 503 }]);
  t.is(await read(), byDigest);
  t.is(fake.requests.length, 5);
  const told = log().map(({ msg, pod }) => [msg, pod]);
  t.is(told.length, 3);
  for (const [message, pod] of told) {
    t.regex(String(message), /OPERATOR_IMAGE is not set/);
    t.deepEqual(pod, { namespace: 'ours', name: 'operator-1' });
  }
  t.regex(JSON.stringify(log()[1]), /pods is forbidden/);
});

test('where it is refused for long the name that the image was built with is taken', async (t) => {
  const { fake, read, log } = await setUp(t, [{ name: 'operator', image: byDigest }]);
  fake.script = () => ({ status: 403 });
  t.is(await read({ builtAs: 'registry.example/operator:1', refusedMs: 50 }), 'registry.example/operator:1');
  t.true(fake.requests.length > 1, 'rights may come later than the operator');
  t.like(log().at(-1), { image: 'registry.example/operator:1' });
});

test('an image that was given no name waits for the right, says after the while what it needs, and goes on once it has it', async (t) => {
  const { fake, read, log } = await setUp(t, [{ name: 'operator', image: byDigest }]);
  fake.script = () => ({ status: 403 });
  const reading = read({ refusedMs: 50 });
  await eventually(() =>
    assert.match(JSON.stringify(log()), /allow this account to list pods, or set OPERATOR_IMAGE/),
  );
  const asked = fake.requests.length;
  await eventually(() => assert.ok(fake.requests.length > asked + 2));
  t.is(log().length, 2, 'each is said once');
  fake.script = () => undefined;
  t.is(await reading, byDigest);
});

test('who is stopped meanwhile asks no more', async (t) => {
  const { fake, read } = await setUp(t);
  const stop = new AbortController();
  fake.script = () => ({ status: 500 });
  const reading = read({ signal: stop.signal });
  await eventually(() => assert.ok(fake.requests.length > 1));
  stop.abort();
  t.is(await reading, undefined);
});

/** An API server whose namespace `ours` has a pod with these containers, or none. */
async function setUp(t: ExecutionContext, containers?: readonly { name: string; image: string }[]) {
  const fake = await startFakeApiServer([pods]);
  const client = createClient(fake.connection(), { userAgent: 'own-image-test' });
  t.teardown(async () => {
    await client.close();
    await fake.stop();
  });
  const pod = { namespace: 'ours', name: 'operator-1' };
  const object = { apiVersion: 'v1', kind: 'Pod', metadata: pod, spec: { containers } };
  if (containers !== undefined) fake.state.create(pods, object as KubeObject);
  const lines: string[] = [];
  const logger = createLogger({ destination: { write: (line) => void lines.push(line) } });
  return {
    fake,
    log: () => lines.map((line): Record<string, unknown> => JSON.parse(line)),
    read: (options: Partial<OwnImageOptions> = {}) =>
      readOwnImage(pod, { client, logger, maxPauseMs: 10, signal: new AbortController().signal, ...options }),
  };
}
