import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { parseMirrorsFile } from '../../../src/config/mirrors-file.ts';
import { KeptList } from '../../../src/node/kept-list.ts';

const client = { certFile: '/t/tls.crt', keyFile: '/t/tls.key' };
const parse = (text: string, path: string) => parseMirrorsFile(text, path, client);

interface Said {
  readonly version?: number;
  /** Authorities by mirror. */
  readonly mirrors?: Readonly<Record<string, string>>;
}

/** As the operator writes them. */
function filesOf({ version, mirrors = {} }: Said): Record<string, string> {
  const nameOf = (text: string) => `${createHash('sha256').update(text).digest('hex').slice(0, 16)}.pem`;
  const entries = Object.entries(mirrors).map(([name, authorities]) => ({
    name,
    names: [],
    addresses: [],
    endpoint: 'loopback',
    serverName: 'm.test',
    runtimes: ['auto'],
    hostsNames: [],
    certificateNames: [],
    clientCertificate: false,
    containerd: 'report',
    foreignFiles: 'refuse',
    foreignHostsLines: 'override',
    bundle: nameOf(authorities),
  }));
  const list = { ...(version !== undefined && { version }), mirrors: entries, others: [], gone: [] };
  const bundles = Object.values(mirrors).map((text) => [nameOf(text), text] as const);
  return { 'mirrors.json': JSON.stringify(list), ...Object.fromEntries(bundles) };
}

function scene(t: ExecutionContext, mounted: Said) {
  const folder = fs.mkdtempSync(join(tmpdir(), 'kept-list-'));
  t.teardown(() => fs.rmSync(folder, { recursive: true, force: true }));
  const trust = join(folder, 'trust');
  const broughtFolder = join(folder, 'run/list');
  /** As the kubelet does. */
  const mount = (said: Said) => {
    fs.rmSync(trust, { recursive: true, force: true });
    fs.mkdirSync(trust);
    for (const [name, text] of Object.entries(filesOf(said))) fs.writeFileSync(join(trust, name), text);
  };
  mount(mounted);
  const start = () => new KeptList({ mounted: join(trust, 'mirrors.json'), broughtFolder, parse }, fs);
  const list = start();
  const bring = (said: Said) => list.take(JSON.stringify({ files: filesOf(said) }));
  const names = (of = list) => of.read().mirrors.map(({ name }) => name);
  const authorities = () =>
    Object.fromEntries(list.read().mirrors.map((each) => [each.name, fs.readFileSync(each.caFile, 'utf8')]));
  return { folder, trust, broughtFolder, mount, start, list, bring, names, authorities };
}

test('A list that is brought counts until the mounted one is as new, also after a restart', (t) => {
  const { mount, start, list, bring, names, authorities } = scene(t, { version: 1, mirrors: { a: 'A' } });
  t.true(bring({ version: 2, mirrors: { a: 'A', b: 'B' } }));
  t.deepEqual(names(), ['a', 'b']);
  t.is(list.read().version, 2);
  t.deepEqual(authorities(), { a: 'A', b: 'B' });
  t.deepEqual(names(start()), ['a', 'b']);
  mount({ version: 2, mirrors: { a: 'A', b: 'B' } });
  t.deepEqual(names(), ['a', 'b']);
  mount({ version: 3, mirrors: { b: 'B' } });
  t.deepEqual(names(), ['b']);
});

test('An older list takes the place of none, whoever brings it and however late', (t) => {
  const { mount, bring, names } = scene(t, { version: 5, mirrors: { a: 'A' } });
  for (const version of [4, 5]) t.false(bring({ version }));
  t.true(bring({ version: 7 }));
  t.false(bring({ version: 6, mirrors: { b: 'B' } }));
  mount({ version: 6, mirrors: { a: 'A', b: 'B' } });
  t.deepEqual(names(), [], 'the kubelet is late');
});

test('Where the operator that is there now counts no versions, what is mounted counts', (t) => {
  const { mount, bring, names } = scene(t, { version: 5 });
  t.true(bring({ version: 6, mirrors: { b: 'B' } }));
  mount({ mirrors: { a: 'A' } });
  t.deepEqual(names(), ['a']);
  t.false(bring({ version: 8 }));
  t.false(bring({}));
  t.deepEqual(names(), ['a']);
});

test('Authorities are read from the same place as long as they lie there, whichever list names them', (t) => {
  const { trust, broughtFolder, mount, list, bring } = scene(t, { version: 1, mirrors: { a: 'A' } });
  const folders = () => list.read().mirrors.map(({ caFile }) => caFile.slice(0, caFile.lastIndexOf('/')));
  t.deepEqual(folders(), [trust]);
  bring({ version: 2, mirrors: { a: 'A', b: 'B' } });
  t.deepEqual(folders(), [trust, broughtFolder]);
  mount({ version: 2, mirrors: { a: 'A', b: 'B' } });
  t.deepEqual(folders(), [trust, broughtFolder]);
  bring({ version: 3, mirrors: { a: 'A' } });
  t.deepEqual(folders(), [trust]);
  mount({ version: 3, mirrors: {} });
  t.deepEqual(folders(), []);
});

test('What no list names any more does not stay in the pod’s folder', (t) => {
  const { broughtFolder, bring } = scene(t, { version: 1 });
  bring({ version: 2, mirrors: { a: 'A' } });
  t.is(fs.readdirSync(broughtFolder).length, 2);
  bring({ version: 3 });
  t.deepEqual(fs.readdirSync(broughtFolder), ['mirrors.json']);
});

test('What is no list, or names what is not with it, is refused and changes nothing', (t) => {
  const { folder, broughtFolder, list, names } = scene(t, { version: 1, mirrors: { a: 'A' } });
  const { 'mirrors.json': text = '', ...authorities } = filesOf({ version: 2, mirrors: { b: 'B' } });
  const [name = ''] = Object.keys(authorities);
  const bad = [
    'x',
    'null',
    '{}',
    JSON.stringify({ files: [] }),
    JSON.stringify({ files: { 'mirrors.json': 7 } }),
    JSON.stringify({ files: { 'mirrors.json': 'x' } }),
    JSON.stringify({ files: authorities }),
    JSON.stringify({ files: { 'mirrors.json': text } }),
    JSON.stringify({ files: { 'mirrors.json': text, [name]: 'other content' } }),
    JSON.stringify({ files: { 'mirrors.json': text, ...authorities, '../../escaped.pem': 'B' } }),
    JSON.stringify({ files: { 'mirrors.json': text, ...authorities, 'tls.key': 'KEY' } }),
  ];
  for (const body of bad) t.throws(() => list.take(body), { instanceOf: TypeError }, body);
  t.false(fs.existsSync(broughtFolder));
  t.false(fs.existsSync(join(folder, 'escaped.pem')));
  t.deepEqual(names(), ['a']);
});

test('A list that this version does not understand is as none, and the next one is taken', (t) => {
  const { broughtFolder, bring, names } = scene(t, { version: 1, mirrors: { a: 'A' } });
  fs.mkdirSync(broughtFolder, { recursive: true });
  fs.writeFileSync(join(broughtFolder, 'mirrors.json'), '{"version":9,"mirrors":{}}');
  t.deepEqual(names(), ['a']);
  t.true(bring({ version: 2 }));
  t.deepEqual(names(), []);
});
