import test from 'ava';
import type { KubeClient } from '../../../../src/kube/client.ts';
import { TerminalError, WaitingError } from '../../../../src/observe/errors.ts';
import { createLogger } from '../../../../src/observe/log.ts';
import { Engines } from '../../../../src/operator/rewriting/engines.ts';
import type { Routing } from '../../../../src/operator/rewriting/routing.ts';
import type { WebhookKeeper } from '../../../../src/operator/rewriting/webhook-keeper.ts';

const { signal } = new AbortController();

/** Engines whose order of work is written down; `state` is what the test changes. */
function world() {
  const state = {
    wanted: 'all' as Routing['webhook'],
    now: 0,
    service: true,
    announced: [] as Routing['webhook'],
    managed: true,
    fails: '' as '' | 'webhook' | 'policy',
    webhookMs: 60_000,
    error: undefined as Error | undefined,
    policyTakesMs: 0,
  };
  const failing = (part: typeof state.fails) => {
    if (state.fails === part) throw state.error ?? new Error(`${part} failed`);
  };
  const done: string[] = [];
  const log: string[] = [];
  const client = {
    getOrUndefined: async () => (state.service ? { metadata: {} } : undefined),
  } as unknown as KubeClient;
  const webhook = {
    get announced() {
      return state.announced;
    },
    get covered() {
      return state.managed ? state.announced : 'all';
    },
    reconcile: async (namespaces: Routing['webhook']) => {
      failing('webhook');
      done.push(`webhook ${String(namespaces)}`);
      state.announced = namespaces;
      return state.webhookMs;
    },
  } as unknown as WebhookKeeper;
  const policy = {
    routing: async (): Promise<Routing> => ({ engine: 'policy', why: '', webhook: state.wanted }),
    reconcile: async (_signal: AbortSignal, covered: Routing['webhook']) => {
      failing('policy');
      done.push(['policy', ...uncovered(state.wanted, covered)].join(' without '));
      state.now += state.policyTakesMs;
      return undefined;
    },
  };
  const engines = new Engines({
    client,
    namespace: 'default',
    webhook,
    policy,
    logger: createLogger({ level: 'info', destination: { write: (line: string) => void log.push(line) } }),
    overlapMs: 10_000,
    now: () => state.now,
  });
  const pass = async () => {
    done.length = 0;
    return { afterMs: await engines.reconcile(signal), done: [...done] };
  };
  const failedPass = async () => {
    done.length = 0;
    const message = await engines.reconcile(signal).then(
      () => undefined,
      (error: Error) => error.message,
    );
    return { message, done: [...done] };
  };
  /** The error that ends it. */
  const errorOfPass = () => {
    done.length = 0;
    return engines.reconcile(signal).then(
      () => undefined,
      (error: unknown) => error,
    );
  };
  return { state, done, log, pass, failedPass, errorOfPass };
}

/** What the policy has to keep to itself. */
function uncovered(wanted: Routing['webhook'], covered: Routing['webhook']): readonly string[] {
  if (covered === 'all') return [];
  return wanted === 'all' ? ['all'] : wanted.filter((name) => !covered.includes(name));
}

test('whoever takes namespaces on comes first, and who gives them up keeps them for a while', async (t) => {
  const { state, pass } = world();
  t.deepEqual(await pass(), { afterMs: 60_000, done: ['webhook all', 'policy'] });
  state.wanted = ['team'];
  t.deepEqual(await pass(), { afterMs: 10_000, done: ['webhook all', 'policy'] });
  state.now = 9_000;
  t.deepEqual(await pass(), { afterMs: 1_000, done: ['webhook all', 'policy'] });
  state.now = 10_000;
  t.deepEqual(await pass(), { afterMs: 60_000, done: ['webhook team', 'policy'] });
  state.wanted = ['team', 'other'];
  t.deepEqual((await pass()).done, ['webhook other,team', 'policy']);
});

test('two moves within the overlap keep what either gave up', async (t) => {
  const { state, pass } = world();
  state.wanted = ['one'];
  await pass();
  state.wanted = ['two'];
  t.deepEqual((await pass()).done, ['webhook one,two', 'policy']);
  state.wanted = ['three'];
  state.now = 5_000;
  t.deepEqual((await pass()).done, ['webhook one,three,two', 'policy']);
  state.now = 15_000;
  t.deepEqual((await pass()).done, ['webhook three', 'policy']);
});

test('after a restart a webhook that is announced for all keeps them until the policy had its time', async (t) => {
  const { state, pass } = world();
  state.announced = 'all';
  state.wanted = [];
  t.deepEqual((await pass()).done, ['webhook all', 'policy']);
  state.now = 10_000;
  t.deepEqual((await pass()).done, ['webhook ', 'policy']);
});

test('after a restart a webhook that is announced for some keeps these, and gets no others', async (t) => {
  const { state, pass } = world();
  state.announced = ['odd'];
  state.wanted = ['odd'];
  t.deepEqual(await pass(), { afterMs: 60_000, done: ['webhook odd', 'policy'] });
});

test('after a restart a webhook keeps what it is announced for beside what is to be its now', async (t) => {
  const { state, pass } = world();
  state.announced = ['odd'];
  state.wanted = ['other'];
  t.deepEqual((await pass()).done, ['webhook odd,other', 'policy']);
  state.now = 10_000;
  t.deepEqual((await pass()).done, ['webhook other', 'policy']);
});

test('a webhook that is not installed is not announced, and looked for again', async (t) => {
  const { state, pass } = world();
  state.service = false;
  t.deepEqual(await pass(), { afterMs: 30_000, done: ['webhook ', 'policy'] });
  state.service = true;
  t.deepEqual((await pass()).done, ['webhook all', 'policy']);
});

test('a webhook that is not installed is not announced either for what it would keep', async (t) => {
  const { state, pass } = world();
  state.service = false;
  await pass();
  state.wanted = [];
  t.deepEqual((await pass()).done, ['webhook ', 'policy']);
});

test('a webhook that is installed is looked for again, in case that it goes', async (t) => {
  const { state, pass } = world();
  state.webhookMs = 86_400_000;
  t.is((await pass()).afterMs, 60_000);
  state.service = false;
  t.deepEqual((await pass()).done, ['webhook ', 'policy']);
});

test('what the webhook keeps it keeps until the policy was brought about, however long that takes', async (t) => {
  const { state, pass, failedPass } = world();
  await pass();
  state.wanted = [];
  state.fails = 'policy';
  await failedPass();
  state.now = 20_000;
  state.fails = '';
  state.policyTakesMs = 15_000;
  t.deepEqual(await pass(), { afterMs: 10_000, done: ['webhook all', 'policy'] });
  state.policyTakesMs = 0;
  state.now = 44_000;
  t.deepEqual(await pass(), { afterMs: 1_000, done: ['webhook all', 'policy'] });
  state.now = 45_000;
  t.deepEqual((await pass()).done, ['webhook ', 'policy']);
});

test('a webhook that cannot be announced keeps the policy back only where it is to take over', async (t) => {
  const { state, pass, failedPass } = world();
  state.wanted = [];
  state.fails = 'webhook';
  t.deepEqual(await failedPass(), { message: 'webhook failed', done: ['policy'] });
  state.wanted = ['team'];
  t.deepEqual(await failedPass(), { message: 'webhook failed', done: ['policy without team'] });
  state.fails = '';
  await pass();
  state.fails = 'webhook';
  t.deepEqual(await failedPass(), { message: 'webhook failed', done: ['policy'] });
  state.wanted = ['team', 'other'];
  t.deepEqual(await failedPass(), { message: 'webhook failed', done: ['policy without other'] });
  state.service = false;
  t.deepEqual(await failedPass(), { message: 'webhook failed', done: ['policy'] });
});

test('a webhook that users announce themselves takes on whatever is to be its', async (t) => {
  const { state, failedPass } = world();
  state.managed = false;
  state.wanted = ['team'];
  state.fails = 'webhook';
  t.deepEqual(await failedPass(), { message: 'webhook failed', done: ['policy'] });
});

test('after a restart a webhook that cannot be announced anew is known by what the API server was told', async (t) => {
  const { state, failedPass } = world();
  state.announced = ['team', 'other'];
  state.wanted = ['team'];
  state.fails = 'webhook';
  t.deepEqual(await failedPass(), { message: 'webhook failed', done: ['policy'] });
});

test('an authority that a person has to mend ends nothing that runs by time', async (t) => {
  const { state, done, pass, errorOfPass } = world();
  await pass();
  state.wanted = [];
  state.fails = 'webhook';
  state.error = new TerminalError('AuthorityUnreadable', 'repair or delete it');
  const waiting = { reason: 'AuthorityUnreadable', message: 'repair or delete it', cause: state.error };
  const first = await errorOfPass();
  t.true(first instanceof WaitingError);
  t.like(first, { ...waiting, retryAfterMs: 10_000 }, 'when the overlap ends');
  t.deepEqual(done, ['policy']);
  state.now = 10_000;
  t.like(await errorOfPass(), { ...waiting, retryAfterMs: 60_000 });
  state.now = 70_000;
  state.service = false;
  t.like(await errorOfPass(), { ...waiting, retryAfterMs: 60_000 });
});

test('that a person has to act is told once, and again when it happens anew', async (t) => {
  const { state, log, pass, errorOfPass } = world();
  state.error = new TerminalError('AuthorityUnreadable', 'repair or delete it');
  for (const fails of ['webhook', 'webhook', '', 'webhook'] as const) {
    state.fails = fails;
    await (fails === '' ? pass() : errorOfPass());
  }
  const told = log.map((line) => JSON.parse(line)).map(({ level, msg }) => [level, msg]);
  t.deepEqual(told, [
    ['error', 'The webhook cannot be announced until a person acts'],
    ['error', 'The webhook cannot be announced until a person acts'],
  ]);
});
