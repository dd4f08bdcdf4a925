import test from 'ava';
import { ApiError } from '../../../../../src/kube/errors.ts';
import { createLogger } from '../../../../../src/observe/log.ts';
import type { PolicyVersion } from '../../../../../src/operator/rewriting/policy/policy-object.ts';
import { newestServed, ServedVersion } from '../../../../../src/operator/rewriting/policy/served-version.ts';

const both = ['mutatingadmissionpolicies', 'mutatingadmissionpolicybindings'];
const { signal } = new AbortController();

/** An API server that serves these resources in these versions. */
function server(served: Readonly<Record<string, readonly string[]>>) {
  return {
    request: async (_method: string, path: string): Promise<unknown> => {
      const version = path.split('/')[3];
      if (version === undefined) return { versions: Object.keys(served).map((each) => ({ version: each })) };
      return { resources: (served[version] ?? []).map((name) => ({ name })) };
    },
  };
}

const rows: readonly [string, Readonly<Record<string, readonly string[]>>, PolicyVersion | undefined][] = [
  ['1.36', { v1: ['mutatingwebhookconfigurations', ...both] }, 'v1'],
  ['1.36 with beta versions', { v1beta1: both, v1: both }, 'v1'],
  ['1.34 with beta versions', { v1: ['mutatingwebhookconfigurations'], v1beta1: both }, 'v1beta1'],
  ['1.34', { v1: ['mutatingwebhookconfigurations'] }, undefined],
  ['1.32 with alpha versions', { v1: [], v1alpha1: both }, undefined],
];

for (const [release, served, expected] of rows) {
  test(`${release} serves policies in ${expected ?? 'no version'}`, async (t) => {
    t.is(await newestServed(server(served), signal), expected);
  });
}

test('a new answer is told once, a failure leaves the last one, and it can be asked again at once', async (t) => {
  let served: Readonly<Record<string, readonly string[]>> | undefined = { v1: [] };
  let asked = Promise.withResolvers<void>();
  const told: (string | undefined)[] = [];
  const client = {
    request: async (method: string, path: string) => {
      if (path.split('/').length === 3) setTimeout(() => asked.resolve(), 5);
      if (served === undefined) throw new ApiError('GET', 500);
      return server(served).request(method, path);
    },
  };
  const version = new ServedVersion({
    client,
    changed: (each) => told.push(each),
    logger: createLogger({ level: 'silent' }),
  });
  const stop = new AbortController();
  const running = version.run(stop.signal);
  const next = async () => {
    await asked.promise;
    asked = Promise.withResolvers<void>();
  };
  await next();
  t.deepEqual([version.known, version.version, told], [true, undefined, [undefined]]);
  served = { v1: both };
  version.lookAgain();
  await next();
  t.deepEqual([version.version, told], ['v1', [undefined, 'v1']]);
  served = undefined;
  version.lookAgain();
  await next();
  t.deepEqual([version.version, told.length], ['v1', 2]);
  stop.abort();
  await running;
});
