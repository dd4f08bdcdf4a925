/** A clock that is set back, as at the first answer of a time server: what lasts for a while lasts no longer for it. */
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { ClientAccess } from '../../../../src/cache/broker/access/client-access.ts';
import { FailureMemory } from '../../../../src/cache/broker/failure-memory.ts';
import { RateGate } from '../../../../src/registry/rate-gate.ts';
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
