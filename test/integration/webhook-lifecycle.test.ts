/** The webhook’s life under a stream of pods with failurePolicy Fail: its start, new certificates, rolling restarts. */
import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { eventually } from '../support/eventually.ts';
import { startTcpBalancer } from '../support/tcp-balancer.ts';
import type { WebhookProcess } from '../support/webhook-process.ts';
import { podOf, podsOf, startWebhookWorld, type WebhookWorld } from '../support/webhook-world.ts';

let world: WebhookWorld;
const environment = { GILLY_REGISTRY: 'gilly.local' };

test.before(async () => {
  world = await startWebhookWorld();
});
test.afterEach.always((t) => {
  if (!t.passed) t.log(world.lastWords());
});
test.after.always(() => world?.end());

/** Makes pods, several at a time, until it is ended; every one has to be rewritten. */
function stream(t: ExecutionContext) {
  const faults: string[] = [];
  let made = 0;
  let isOver = false;
  const one = async () => {
    while (!isOver) {
      try {
        const pod = await world.create(
          podsOf('default'),
          podOf('streamed', { a: 'gcr.io/a' }),
          '?dryRun=All',
        );
        const [{ image }] = pod.spec.containers;
        if (image !== 'gilly.local/a') faults.push(`not rewritten: ${image}`);
      } catch (error) {
        faults.push(String(error));
      }
      made += 1;
    }
  };
  const running = Promise.all(Array.from({ length: 6 }, one));
  const end = async () => {
    isOver = true;
    await running;
    return { faults, made };
  };
  t.teardown(end);
  /** Waits until so many more were made. */
  const more = async (count: number) => {
    const until = made + count;
    await eventually(
      () => {
        if (made < until) throw new Error(`${made} of ${until}`);
      },
      { timeout: 60_000 },
    );
  };
  return { end, more };
}

test.serial('a new certificate is taken up while pods are made, and no call fails', async (t) => {
  const webhook = await world.webhook(environment);
  await world.register([{ name: 'one', port: webhook.port, path: '/rewrite' }]);
  await world.untilCalled('default', 'gcr.io/probe');
  const pods = stream(t);
  for (let rotation = 1; rotation <= 3; rotation += 1) {
    await pods.more(20);
    await webhook.certificates.put(world.authority);
    await eventually(() => {
      const loaded = webhook.log().match(/Loaded the certificate/g)?.length;
      if (loaded !== rotation + 1) throw new Error(`${loaded}`);
    });
  }
  await pods.more(20);
  const { faults, made } = await pods.end();
  t.log(`${made} pods`);
  t.deepEqual(faults, []);
  t.is(await webhook.stop(), 0);
});

test.serial('a rolling restart of two replicas fails no call and leaves no pod as it was', async (t) => {
  const balancer = await startTcpBalancer();
  t.teardown(() => balancer.stop());
  const draining = { ...environment, WEBHOOK_DRAIN_SECONDS: '1.5' };
  const start = async (): Promise<WebhookProcess> => {
    const webhook = await world.webhook(draining);
    balancer.add(webhook);
    return webhook;
  };
  const old = await Promise.all([start(), start()]);
  await world.register([{ name: 'balanced', port: balancer.port, path: '/rewrite' }]);
  await world.untilCalled('default', 'gcr.io/probe');
  const pods = stream(t);
  await pods.more(30);
  const fresh: WebhookProcess[] = [];
  for (const each of old) {
    fresh.push(await start());
    await delay(500);
    t.is(await each.stop(), 0);
    balancer.remove(each);
    await pods.more(30);
  }
  const { faults, made } = await pods.end();
  t.log(`${made} pods`);
  t.deepEqual(faults, []);
  const answered = 'registry_mirror_webhook_dry_runs_total';
  for (const each of fresh) t.true((await each.metric(answered)) > 0, 'each replica has its share');
});

test.serial('nothing is answered before everything was read and there is a certificate', async (t) => {
  await world.plane.kill('apiserver');
  const webhook = await world.startWebhook(environment, { certificate: false });
  await eventually(async () => {
    const { status } = await fetch(`http://127.0.0.1:${webhook.httpPort}/healthz`);
    if (status !== 200) throw new Error(`${status}`);
  });
  t.false(await webhook.isReady());
  await world.plane.start();
  await eventually(async () => {
    if ((await webhook.metric('registry_mirror_webhook_synced')) !== 1) throw new Error('not synced');
  });
  t.false(await webhook.isReady(), 'it has no certificate');
  await t.throwsAsync(fetch(`https://127.0.0.1:${webhook.port}/rewrite`));
  await webhook.certificates.put(world.authority);
  await webhook.untilReady();
  t.true(
    (await webhook.metric('registry_mirror_webhook_certificate_expiry_timestamp_seconds')) >
      Date.now() / 1000,
  );
});

test.serial('without a drain it ends at once, and at a second signal in any case', async (t) => {
  const webhook = await world.webhook(environment);
  t.is(await webhook.stop(), 0);
  const lasting = await world.webhook({ ...environment, WEBHOOK_DRAIN_SECONDS: '300' });
  process.kill(lasting.pid, 'SIGTERM');
  await eventually(async () => {
    if (await lasting.isReady()) throw new Error('still ready');
  });
  t.is(await lasting.stop(), 'SIGTERM');
});

test.serial('a port that is taken ends it with a message', async (t) => {
  const webhook = await world.webhook(environment);
  const other = await world.startWebhook({ ...environment, WEBHOOK_PORT: String(webhook.port) });
  t.is(await other.ended, 1);
  t.regex(other.log(), /EADDRINUSE/);
});
