import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { operatorCommonName, sharedNodeCommonName } from '../../../src/api/names.ts';
import { issueLeaf, type KeyPair } from '../../../src/cache/tls/authority.ts';
import { StatusServer } from '../../../src/node/status/status-server.ts';
import { createLogger } from '../../../src/observe/log.ts';
import { makeOperatorAuthority, nodeReport } from '../../support/agent-server.ts';
import { eventually } from '../../support/eventually.ts';

let nextPort = 28_700;

async function scene(t: ExecutionContext, takesLists = true) {
  const folder = mkdtempSync(join(tmpdir(), 'status-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const authority = await makeOperatorAuthority();
  const pairOf = (
    commonName: string,
    usages: readonly ('serverAuth' | 'clientAuth')[] = ['serverAuth', 'clientAuth'],
  ) => issueLeaf(authority, { names: [commonName], days: 1, commonName, usages });
  const own = await pairOf(sharedNodeCommonName);
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const restarts: string[] = [];
  const lists: string[] = [];
  const port = nextPort++;
  const server = new StatusServer({
    report: () => nodeReport(),
    restart: (mirror) => restarts.push(mirror),
    ...(takesLists && {
      takeList: (body: string) => {
        if (body === 'nonsense') throw new TypeError('expected a list');
        return lists.push(body) > 0;
      },
    }),
    socket: join(folder, 's'),
    server: {
      addresses: ['127.0.0.1'],
      port,
      certificate: { certFile: file('tls.crt', own.certificatePem), keyFile: file('tls.key', own.keyPem) },
      authoritiesFile: file('ca.crt', authority.certificatePem),
    },
    log: createLogger({ level: 'silent' }),
  });
  server.start();
  t.teardown(() => server.close());
  const ask = async (method: string, path: string, pair?: KeyPair, body = '') => {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const who = pair && { cert: pair.certificatePem, key: pair.keyPem };
    const asked = request({
      ...{ host: '127.0.0.1', port, method, path, servername: sharedNodeCommonName, agent: false },
      ...{ ca: authority.certificatePem, ...who },
    });
    asked.on('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    asked.on('error', reject);
    asked.end(body);
    return promise.finally(() => asked.destroy());
  };
  const operator = await pairOf(operatorCommonName, ['clientAuth']);
  await eventually(async () => void (await ask('GET', '/status', operator)));
  return { ask, pairOf, operator, own, restarts, lists, port, folder };
}

const restart = JSON.stringify({ mirror: 'hub', runtime: 'containerd' });

test('The operator alone may allow a restart, agents may only ask, and others nothing', async (t) => {
  const { ask, pairOf, operator, own, restarts } = await scene(t);
  t.is(await ask('GET', '/status', own), 200);
  t.is(await ask('POST', '/restart', own, restart), 403);
  await t.throwsAsync(ask('GET', '/status'));
  await t.throwsAsync(ask('GET', '/status', await pairOf('registry-mirror-hub', ['serverAuth'])));
  const stranger = await makeOperatorAuthority();
  const forged = await issueLeaf(stranger, {
    ...{ names: [], days: 1, commonName: operatorCommonName, usages: ['clientAuth'] as const },
  });
  await t.throwsAsync(ask('POST', '/restart', forged, restart));
  t.deepEqual(restarts, []);
  t.is(await ask('POST', '/restart', operator, restart), 202);
  t.deepEqual(restarts, ['hub']);
  t.is(await ask('POST', '/restart', operator, 'x'.repeat(4096)), 400);
});

test('The operator alone may bring a list, of the size of a Secret', async (t) => {
  const { ask, operator, own, lists } = await scene(t);
  const whole = 'x'.repeat(1024 * 1024);
  t.is(await ask('POST', '/list', own, whole), 403);
  await t.throwsAsync(ask('POST', '/list', undefined, whole));
  t.deepEqual(lists, []);
  t.is(await ask('POST', '/list', operator, whole), 202);
  t.deepEqual(lists, [whole]);
  t.is(await ask('POST', '/list', operator, 'nonsense'), 400);
  await t.throwsAsync(ask('POST', '/list', operator, whole.repeat(3)));
  t.deepEqual(lists, [whole]);
});

test('An agent of one mirror takes no list', async (t) => {
  const { ask, operator } = await scene(t, false);
  t.is(await ask('POST', '/list', operator, '{}'), 404);
});

test('Who connects and says nothing keeps nobody out and takes no memory', async (t) => {
  const { ask, operator, port } = await scene(t);
  const sockets = Array.from({ length: 300 }, () => connect(port, '127.0.0.1').on('error', () => undefined));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
  });
  await Promise.all(sockets.map((socket) => Promise.race([once(socket, 'connect'), once(socket, 'close')])));
  await eventually(() => {
    if (sockets.filter(({ closed }) => !closed).length > 64) throw new Error('too many are open');
  });
  await eventually(async () => t.is(await ask('GET', '/status', operator), 200), { timeout: 10_000 });
});
