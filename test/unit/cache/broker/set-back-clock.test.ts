/** A clock that is set back, as at the first answer of a time server: what lasts for a while lasts no longer for it. */
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { ClientAccess } from '../../../../src/cache/broker/access/client-access.ts';
import { FailureMemory } from '../../../../src/cache/broker/failure-memory.ts';
import { Gatherer } from '../../../../src/cache/broker/metrics/gather.ts';
import { cacheReportVersion } from '../../../../src/cache/cache-report.ts';
import { RateGate } from '../../../../src/registry/rate-gate.ts';
import { TokenSource } from '../../../../src/registry/token.ts';
import type { Transport } from '../../../../src/registry/transport.ts';
import type { UpstreamClient } from '../../../../src/registry/upstream-client.ts';
import { UpstreamStatusError } from '../../../../src/registry/upstream-error.ts';

const real = Date.now;
test.afterEach.always(() => {
  Date.now = real;
});

function setBack(): void {
  Date.now = () => real() - 3_600_000;
}

test.serial('a failure and a limit stand for as long as was said', async (t) => {
  const memory = new FailureMemory();
  memory.note('key', new Error('away'), 20);
  const gate = new RateGate();
  const request = { host: 'r.example', kind: 'GET blobs', subject: 'library/app' };
  gate.shut(request, 0.02);
  t.throws(() => memory.throwKnown('key'));
  setBack();
  await delay(40);
  t.notThrows(() => memory.throwKnown('key'));
  await t.notThrowsAsync(gate.pass(request, new AbortController().signal));
});

test.serial('a token is fetched anew when its time is over, and reports are', async (t) => {
  let fetched = 0;
  const send = async () => {
    fetched += 1;
    const bytes = Buffer.from(JSON.stringify({ token: `t${fetched}`, expires_in: 0.05 }));
    return {
      status: 200,
      headers: {},
      body: Object.assign(Readable.from([bytes]), { dump: async () => {} }),
    };
  };
  const tokens = new TokenSource({ transport: () => ({ send }) as unknown as Transport });
  const realm = new URL('https://auth.example/token');
  const request = { realm, service: undefined, scope: undefined, credentials: undefined };
  const { signal } = new AbortController();
  let reports = 0;
  const own = () => {
    reports += 1;
    return { version: cacheReportVersion, mirrors: [] };
  };
  const gatherer = new Gatherer({ own, others: () => [] });
  t.is(await tokens.get(request, signal), 't1');
  await gatherer.gather();
  setBack();
  await delay(250);
  t.is(await tokens.get(request, signal), 't2');
  await gatherer.gather();
  t.is(reports, 2);
});

test.serial('what a client was allowed is asked anew when its time is over', async (t) => {
  let status = 200;
  const client = {
    request: async () => ({
      status,
      headers: { 'content-type': 'application/vnd.oci.image.manifest.v1+json' },
      url: new URL('https://r.example'),
      body: { dump: async () => {} },
    }),
    refuse: async () => new UpstreamStatusError(status, 'refused'),
  } as unknown as UpstreamClient;
  const clients = new ClientAccess(client, 20);
  const route = { kind: 'manifest', mirror: 'm', repository: 'library/app', reference: '1' } as const;
  const { signal } = new AbortController();
  const question = { route, repository: 'library/app', authorization: 'Bearer x', signal };
  t.is((await clients.permission(question)).kind, 'allowed');
  status = 403;
  setBack();
  await delay(40);
  t.is((await clients.permission(question)).kind, 'denied');
});
