import { once } from 'node:events';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import test, { type ExecutionContext } from 'ava';
import { type ClientOptions, createClient, type RequestRecord } from '../../../src/kube/client.ts';
import type { Connection } from '../../../src/kube/connection.ts';
import { ApiError, ConnectionError } from '../../../src/kube/errors.ts';
import type { KubeObject } from '../../../src/kube/object.ts';
import type { ResourceType } from '../../../src/kube/resource-type.ts';
import { readWatch } from '../../../src/kube/watch-stream.ts';
import { eventually } from '../../support/eventually.ts';
import { type FakeApiServer, type Fault, startFakeApiServer } from '../../support/fake-api-server.ts';

const secrets: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'secrets',
  kind: 'Secret',
  namespaced: true,
};
const key = { namespace: 'ns', name: 'a' };

test('a list of more than one page is read to its end', async (t) => {
  const { client, fake } = await setUp(t);
  for (let index = 0; index < 1_001; index += 1) fake.state.create(secrets, secret(`s${index}`));
  const { items, resourceVersion } = await client.listAll(secrets);
  t.is(new Set(items.map(({ metadata }) => metadata.name)).size, 1_001);
  t.is(resourceVersion, String(fake.state.version));
  t.is(fake.requests.length, 3);
});

test('of which state a list may be is said for its first page only', async (t) => {
  const { client, fake } = await setUp(t);
  for (let index = 0; index < 501; index += 1) fake.state.create(secrets, secret(`s${index}`));
  t.is((await client.listAll(secrets, { resourceVersion: '0' })).items.length, 501);
  t.deepEqual(
    fake.requests.map(({ query }) => query.get('resourceVersion')),
    ['0', null],
  );
});

test('a list whose continue token expires in between starts again', async (t) => {
  const { client, fake } = await setUp(t);
  for (let index = 0; index < 501; index += 1) fake.state.create(secrets, secret(`s${index}`));
  fake.fail([{ status: 410 }], ({ query }) => query.has('continue'));
  t.is((await client.listAll(secrets)).items.length, 501);
});

test('an answer that is no list is a failure, not an empty list', async (t) => {
  const { client, fake } = await setUp(t);
  const metadata = { resourceVersion: '1' };
  const answers = [
    { metadata },
    { kind: 'Status', status: 'Failure', metadata: {} },
    { items: {}, metadata },
  ];
  for (const answer of [...answers, { items: [] }, { items: [null], metadata }, [], null, 'ok']) {
    fake.fail([{ status: 200, body: JSON.stringify(answer) }]);
    await t.throwsAsync(client.listAll(secrets), { instanceOf: ConnectionError, message: /not a list$/ });
  }
  fake.fail([{ status: 200, body: JSON.stringify({ items: null, metadata }) }]);
  t.deepEqual(await client.listAll(secrets), { items: [], resourceVersion: '1' });
});

test('only a 404 means that an object is absent; every other failure is thrown', async (t) => {
  const { client, fake } = await setUp(t);
  t.is(await client.getOrUndefined(secrets, key), undefined);
  const failures: Fault[] = [{ status: 403 }, { status: 500 }, { status: 503 }, { status: 429 }];
  for (const fault of failures) {
    fake.fail([fault]);
    await t.throwsAsync(client.getOrUndefined(secrets, key), { instanceOf: ApiError });
  }
  fake.fail(['reset']);
  await t.throwsAsync(client.getOrUndefined(secrets, key), { instanceOf: ConnectionError });
  fake.fail([{ status: 200, body: 'not JSON' }]);
  await t.throwsAsync(client.getOrUndefined(secrets, key), { instanceOf: ConnectionError });
  await fake.stop();
  await t.throwsAsync(client.getOrUndefined(secrets, key), { message: /ECONNREFUSED/ });
});

test('a request refused with 401 is sent once more with fresh credentials', async (t) => {
  let token = 'old';
  const { client, fake } = await setUp(t, async (options) => {
    if (options?.fresh) token = 'new';
    return `Bearer ${token}`;
  });
  fake.authorization = 'Bearer new';
  await client.create(secrets, secret('a'));
  t.deepEqual(
    fake.requests.map(({ headers }) => headers.authorization),
    ['Bearer old', 'Bearer new'],
  );
  fake.authorization = 'Bearer newer';
  const refused = await t.throwsAsync(client.get(secrets, key), { instanceOf: ApiError });
  t.true(refused.unauthorized);
});

test('neither a token nor the content of an answer gets into an error', async (t) => {
  const { client, fake } = await setUp(t, async () => 'Bearer topsecret');
  const errors: unknown[] = [];
  fake.fail([
    { status: 200, body: '{"data": "topsecret' },
    { status: 500, body: 'Bearer topsecret' },
    'reset',
  ]);
  for (let index = 0; index < 3; index += 1)
    errors.push(await client.get(secrets, key).catch((error) => error));
  fake.fail(['broken']);
  errors.push(await collect(client.watch(secrets)).catch((error) => error));
  for (const error of errors as Error[]) {
    t.true(error instanceof ApiError || error instanceof ConnectionError);
    const causes = [error, error.cause].filter((one) => one instanceof Error);
    for (const one of causes) t.false(`${one.message} ${one.stack}`.includes('topsecret'));
  }
});

test('a watch yields its events and ends when the server ends it', async (t) => {
  const { client, fake } = await setUp(t);
  fake.state.create(secrets, secret('a'));
  fake.state.delete(secrets, 'ns/a');
  const opened: string[] = [];
  const events = collect(
    client.watch(secrets, { resourceVersion: '1000', timeoutSeconds: 1, onOpen: () => opened.push('open') }),
  );
  t.deepEqual(
    (await events).map(({ type }) => type),
    ['ADDED', 'DELETED', 'BOOKMARK'],
  );
  t.deepEqual(opened, ['open']);
});

test('a watch that is cut in the middle of a line, or broken, fails', async (t) => {
  const { client, fake } = await setUp(t);
  for (const fault of ['broken', 'cut'] as const) {
    fake.fail([fault]);
    await t.throwsAsync(collect(client.watch(secrets)), { instanceOf: ConnectionError });
  }
});

test('characters and lines that arrive in pieces are put together', async (t) => {
  const text = `${JSON.stringify({ type: 'ADDED', object: secret('é€😀') })}\n`;
  const pieces = [...Buffer.from(text.repeat(2))].map((byte) => Buffer.from([byte]));
  const transport = { send: async () => ({ body: Readable.from(pieces, { objectMode: false }) }) };
  const request = { method: 'GET', verb: 'watch', path: '/' };
  const events = await collect(readWatch(transport as never, request));
  t.deepEqual(
    events.map(({ object }) => object.metadata.name),
    ['é€😀', 'é€😀'],
  );
});

test('leaving a watch closes its connection', async (t) => {
  const { client, fake } = await setUp(t);
  fake.state.create(secrets, secret('a'));
  for await (const event of client.watch(secrets, { resourceVersion: '1000' })) {
    t.is(event.type, 'ADDED');
    break;
  }
  await closed(fake);
  t.is(fake.watchers, 0);
});

test('an abort is heeded at once, also while the TLS handshake hangs', async (t) => {
  const { client } = await setUpDeaf(t);
  const started = performance.now();
  await t.throwsAsync(client.get(secrets, key, { signal: AbortSignal.timeout(50) }), {
    name: 'TimeoutError',
  });
  t.true(performance.now() - started < 5_000);
});

test('a client that is closed gives up the connections that are still being made', async (t) => {
  const { client, deaf } = await setUpDeaf(t);
  const accepted = once(deaf, 'connection') as Promise<[Socket]>;
  await t.throwsAsync(client.get(secrets, key, { signal: AbortSignal.timeout(500) }));
  const [socket] = await accepted;
  const started = performance.now();
  await Promise.all([once(socket.resume(), 'close'), client.close()]);
  t.true(performance.now() - started < 3_000, 'before its timeout, for which a process would wait');
});

test('nothing is sent once the signal is aborted, also when that happens while credentials are fetched', async (t) => {
  const stop = new AbortController();
  const { client, fake } = await setUp(t, async () => {
    stop.abort(new Error('stopped'));
    return undefined;
  });
  const created = client.create(secrets, secret('a'), { signal: stop.signal });
  await t.throwsAsync(created, { message: 'stopped' });
  await t.throwsAsync(client.create(secrets, secret('a'), { signal: stop.signal }), { message: 'stopped' });
  await client.list(secrets);
  t.deepEqual(
    fake.requests.map(({ verb }) => verb),
    ['list'],
  );
});

test('every request is counted with its verb, status and path, failed ones too', async (t) => {
  const records: RequestRecord[] = [];
  const { client, fake } = await setUp(t, undefined, { onRequest: (record) => records.push(record) });
  await client.create(secrets, secret('a'));
  await client.delete(secrets, key);
  await client.getOrUndefined(secrets, key);
  await collect(client.watch(secrets, { timeoutSeconds: 1, resourceVersion: '1000' }));
  fake.fail(['reset']);
  await client.list(secrets).catch(() => undefined);
  t.deepEqual(
    records.map(({ verb, status }) => `${verb} ${status}`),
    ['create 201', 'delete 200', 'get 404', 'watch 200', 'list 0'],
  );
  t.is(records[1]?.path, '/api/v1/namespaces/ns/secrets/a');
});

async function setUp(
  t: ExecutionContext,
  authorization?: Connection['authorization'],
  options: Partial<ClientOptions> = {},
) {
  const fake = await startFakeApiServer([secrets]);
  const client = createClient(fake.connection(authorization), { userAgent: 'test', ...options });
  t.teardown(async () => {
    await client.close();
    await fake.stop();
  });
  return { fake, client };
}

/** A server that takes connections and never says a word. */
async function setUpDeaf(t: ExecutionContext) {
  const deaf = createTcpServer((socket) => socket.on('error', () => undefined).pause());
  await once(deaf.listen(0, '127.0.0.1'), 'listening');
  const { port } = deaf.address() as AddressInfo;
  const connection = {
    url: `https://127.0.0.1:${port}`,
    tls: async () => ({}),
    authorization: async () => undefined,
  };
  const client = createClient(connection, { userAgent: 'test' });
  t.teardown(async () => {
    await client.close();
    deaf.close();
  });
  return { client, deaf };
}

async function closed(fake: FakeApiServer): Promise<void> {
  await eventually(() => {
    if (fake.watchers > 0) throw new Error('still watched');
  });
}

async function collect<T>(events: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const event of events) all.push(event);
  return all;
}

function secret(name: string): KubeObject {
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: 'ns' } };
}
