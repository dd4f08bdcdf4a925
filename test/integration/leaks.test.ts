/**
 * Credentials, tokens, signed URLs and what clients send of the kind, in every mode and with everything failing: none of it is
 * written to a log, a metric, a status, an error or a cache file. `test/support/secrets.ts` looks for the same wherever a test
 * starts a cache, a broker or a standalone.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { brokerSocket } from '../../src/cache/cache-config.ts';
import { createLogger } from '../../src/observe/log.ts';
import { freePort } from '../kubernetes/free-ports.ts';
import { ask } from '../support/broker.ts';
import { type FaultWorld, type Scene, type SceneOptions, startFaultWorld } from '../support/fault-world.ts';
import { assertNoSecretsBelow, notedSecrets, noteSecret, secretsIn } from '../support/secrets.ts';

/** Found by its beginning wherever it may turn up, also when it is cut or packed into something. */
function secret(what: string): string {
  const text = `leak-${what}-${randomUUID()}`;
  noteSecret(text);
  return text;
}

const password = secret('password');
const wrong = secret('other-password');
const token = secret('static-token');
const credentials = { username: 'puller', password };
const client = {
  Authorization: `Bearer ${secret('client-token')}`,
  'Proxy-Authorization': `Basic ${Buffer.from(`me:${secret('proxy-password')}`).toString('base64')}`,
  Cookie: `session=${secret('cookie')}`,
};
const clientBasic = `Basic ${Buffer.from(`me:${secret('client-password')}`).toString('base64')}`;

const modes = {
  basic: { credentials },
  bearer: { credentials },
  static: { credentials: { token } },
  signed: {},
  proxied: { credentials, throughProxy: true },
  pass: { mirror: { access: 'passThrough' } },
} as const satisfies Record<string, Partial<SceneOptions>>;

type Mode = keyof typeof modes;

/** What is done to each upstream in turn; what it demands stays as it was set last. */
const steps: readonly {
  readonly title: string;
  readonly of?: readonly Mode[];
  readonly act: (scene: Scene) => unknown;
}[] = [
  { title: 'basic', of: ['basic', 'proxied'], act: demandBasic(password) },
  { title: 'bearer', of: ['bearer'], act: demandBearer({ username: 'puller', password }) },
  { title: 'bearer of clients', of: ['static', 'pass'], act: demandBearer({}) },
  { title: 'signed URLs', act: redirect(true) },
  { title: 'signed URLs that expired', act: redirect(true, 0) },
  { title: 'signed URLs whose server fails', act: (s) => (s.upstream.cdnFaults = { status: 500 }) },
  { title: 'signed URLs whose body breaks', act: (s) => (s.upstream.cdnFaults = { breakAfter: 10 }) },
  ...[
    'https://10.1.2.3',
    'http://127.0.0.1:9',
    'https://metadata.test',
    'https://user:PASS@private.test',
  ].map((origin) => ({ title: `signed URLs to ${origin}`, act: redirectTo(origin) })),
  { title: 'a signed URL that leads to itself', act: redirectTo('') },
  { title: 'no redirects any more', act: redirect(false) },
  ...[401, 403, 404, 429, 500].map((status) => ({
    title: `status ${status}`,
    act: (s: Scene) => (s.upstream.faults = { status }),
  })),
  { title: 'a portal', act: (s) => (s.upstream.faults = { portal: true }) },
  { title: 'broken bodies', act: (s) => (s.upstream.faults = { breakAfter: 10 }) },
  { title: 'wrong bytes', act: (s) => (s.upstream.faults = { corrupt: true }) },
  { title: 'silence', act: (s) => (s.upstream.faults = { delayMs: 10_000 }) },
  {
    title: 'cookies',
    act: (s) => (s.upstream.faults = { headers: { 'Set-Cookie': `c=${secret('their-cookie')}` } }),
  },
  ...[401, 429, 500].map((tokenStatus) => ({
    title: `token server ${tokenStatus}`,
    of: ['bearer', 'pass'] as const,
    act: (s: Scene) => Object.assign(s.upstream.auth, { tokenStatus }),
  })),
  {
    title: 'a token server that tells what it was told',
    of: ['bearer'],
    act: (s) => {
      s.upstream.auth = { ...bearer(s), tokenBody: `{"error": "no such user puller:${password}"` };
    },
  },
  {
    title: 'a realm with a secret in it, and nobody there',
    act: (s) => {
      const realm = `https://127.0.0.1:9/token?api_key=${secret('realm')}`;
      s.upstream.auth = { kind: 'bearer', realm };
    },
  },
  { title: 'other credentials wanted', of: ['basic', 'proxied'], act: demandBasic(wrong) },
  { title: 'a proxy that refuses', of: ['proxied'], act: refuseAtProxy },
  { title: 'another certificate', act: (s) => s.present('unknown authority') },
  { title: 'no name', act: (s) => s.unresolve() },
];

test('nothing secret is written anywhere, in any mode, whatever fails', async (t) => {
  const log: string[] = [];
  const metricsListen = { address: '127.0.0.1', port: await freePort() };
  const world = await startFaultWorld(
    Object.entries(modes).map(([name, mode]) => ({
      scheme: 'https' as const,
      blobSize: 20_000,
      throughProxy: false,
      mirror: {},
      ...mode,
      name,
    })),
    { metricsListen },
    { log: createLogger({ level: 'debug', destination: { write: (line) => void log.push(line) } }) },
  );
  t.teardown(() => world.close());
  await Promise.all((Object.keys(modes) as Mode[]).map((mode) => act(t, world, mode)));
  const pages = ['/metrics', '/status'].map(async (path) => {
    const page = await fetch(`http://127.0.0.1:${metricsListen.port}${path}`);
    return page.text();
  });
  for (const page of await Promise.all(pages)) {
    t.regex(page, /bearer/);
    t.deepEqual(secretsIn(page), []);
  }
  // nginx writes its log once a second.
  await delay(1_200);
  await world.cache.stop();
  const root = join(world.cache.config.paths.runDir, '..');
  assertNoSecretsBelow(root, [join(root, 'tls')]);
  t.deepEqual(secretsIn(log.join('')), []);
  checkThatItWasLookedAt(t, root, log);
});

/** A search finds nothing also where it looks at nothing. */
function checkThatItWasLookedAt(t: ExecutionContext, root: string, log: readonly string[]): void {
  const read = (file: string) => readFileSync(join(root, file), 'utf8');
  t.regex(read('access.log'), /"uri":"\/v2\/library\/app\/blobs\/sha256:/);
  t.regex(read('run/requests.log'), /\tbasic\tplain\tblob\tGET\t/);
  t.regex(read('run/error.log'), /\[(?:error|info)\]/);
  t.regex(log.join(''), /"level":"debug".*Request failed/);
  for (const kind of ['password', 'client-token', 'static-token', 'realm', 'signature']) {
    t.true(
      notedSecrets().some((text) => text.startsWith(`leak-${kind}`)),
      kind,
    );
  }
  t.true(notedSecrets().length > 50);
}

async function act(t: ExecutionContext, world: FaultWorld, mode: Mode): Promise<void> {
  const scene = world.scene(mode);
  for (const { title, of, act } of steps) {
    if (of !== undefined && !of.includes(mode)) continue;
    await act(scene);
    await pull(t, world, scene, { mode, title });
    scene.upstream.faults = {};
    scene.upstream.cdnFaults = {};
  }
  const shown = scene.upstream.seen.map(({ headers }) => headers.authorization ?? '');
  const expected = {
    basic: 'Basic ',
    bearer: 'Bearer ',
    static: token,
    proxied: 'Basic ',
    signed: '',
    pass: 'leak-client',
  };
  t.true(
    shown.some((header) => header.includes(expected[mode])),
    `${mode}: nothing was shown to the upstream`,
  );
}

/** Two objects that are new, one that is known, by nginx; and, as nginx does in `passThrough`, with the client's own header. */
async function pull(
  t: ExecutionContext,
  world: FaultWorld,
  scene: Scene,
  { mode, title }: { mode: Mode; title: string },
): Promise<void> {
  const socket = brokerSocket(world.cache.config.paths);
  const wanted = [...scene.fresh(title), ...scene.fresh(`${title} again`), scene.warmTag];
  const answers = wanted.map(async ({ path }, index) => {
    const authorization = index % 2 === 0 ? client.Authorization : clientBasic;
    const viaNginx = await scene.get({ path }, { ...client, Authorization: authorization });
    // One that broke off is an answer as well.
    const viaBroker = await ask(socket, `/${mode}${path}`, { authorization }).catch(() => undefined);
    return [viaNginx, viaBroker];
  });
  for (const answer of (await Promise.all(answers)).flat()) {
    const said = `${mode}, ${title}: ${answer?.status}`;
    const { 'www-authenticate': challenge, ...headers } = answer?.headers ?? {};
    // In passThrough the upstream's challenge is meant for the client; for nobody else.
    const shown = mode === 'pass' ? headers : { ...headers, challenge };
    t.deepEqual(secretsIn(JSON.stringify(shown)), [], said);
    t.deepEqual(secretsIn(answer?.body ?? ''), [], said);
  }
}

function demandBasic(wanted: string) {
  return ({ upstream }: Scene) => (upstream.auth = { kind: 'basic', username: 'puller', password: wanted });
}

/** Its token server is on its own host, which may see the credentials. */
function bearer({ origin }: Scene) {
  return { kind: 'bearer', realm: `${origin}/token` } as const;
}

function demandBearer(script: { username?: string; password?: string }) {
  return (scene: Scene) => (scene.upstream.auth = { ...bearer(scene), ...script });
}

function redirect(isOn: boolean, uses?: number) {
  return ({ upstream }: Scene) =>
    (upstream.redirect = { blobs: isOn, manifests: isOn, ...(uses !== undefined && { uses }) });
}

function redirectTo(origin: string) {
  return ({ upstream }: Scene) => {
    const place = origin.replace('PASS', secret('user-info'));
    const location = `${place}/somewhere?X-Amz-Signature=${secret('signature')}&unnamed=${secret('signature')}`;
    const itself = `?X-Amz-Signature=${secret('signature')}`;
    upstream.redirect = {
      blobs: origin === '' ? itself : location,
      manifests: origin === '' ? itself : location,
    };
  };
}

function refuseAtProxy({ proxy, upstream }: Scene): void {
  proxy.status = 407;
  upstream.closeConnections();
}
