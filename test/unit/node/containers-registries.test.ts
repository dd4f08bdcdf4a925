import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { parse } from 'smol-toml';
import { parseCaBundle } from '../../../src/node/ca-bundle.ts';
import {
  type ContainersRegistriesInput,
  dropInPath,
  planContainersRegistries,
  trustPath,
} from '../../../src/node/containers-registries.ts';
import {
  dropInFolder,
  registriesFile,
  userDropInFolder,
  userRegistriesFile,
} from '../../../src/node/foreign-registries.ts';
import { processorTime } from '../../support/processor-time.ts';
import { certificateOne, certificateTwo } from './certificates.ts';
import { apply, openHost, recordedOf, viewOf } from './host.ts';
import { makeSandbox } from './sandbox.ts';

const hub = { prefix: 'docker.io', upstream: 'docker.io' };
const alias = { prefix: 'mirror-docker.io:5000' };
const loopback = { kind: 'loopback', location: '127.0.0.1:31000' } as const;
const bundle = parseCaBundle(Buffer.from(certificateOne))!;
const service = { kind: 'service', location: '10.96.0.10', bundle } as const;

type Changes = Partial<ContainersRegistriesInput>;

function world(t: ExecutionContext) {
  const box = makeSandbox();
  t.teardown(box.remove);
  const signals: string[] = [];
  const host = openHost(box.root, (process, name) => {
    signals.push(`${process} ${name}`);
    return { sent: [1] };
  });
  return {
    ...box,
    signals,
    /** One pass; returns what was done and what was found. */
    pass: (changes: Changes = {}): string[] => {
      const view = viewOf(host);
      const { actions, findings } = planContainersRegistries({
        mirror: 'hub',
        names: [hub],
        endpoint: loopback,
        foreignFiles: 'refuse',
        signalsCrio: true,
        recorded: recordedOf(view, 'containers-registries').filter(
          (record) => record.mirror === (changes.mirror ?? 'hub'),
        ),
        ...view,
        ...changes,
      });
      const results = apply(host, actions);
      t.deepEqual(
        results.filter(({ error }) => error !== undefined),
        [],
      );
      return [...results.map(({ action }) => action.do), ...findings.map(({ reason }) => reason)];
    },
    has: (path: string) => fs.existsSync(join(box.root, path)),
  };
}

function tableIn(text: string): unknown {
  return (parse(text)['registry'] as unknown[])[0];
}

test('an upstream that speaks plain HTTP may do so', (t) => {
  const { pass, get } = world(t);
  pass({ names: [{ prefix: 'reg.local:5000', upstream: 'reg.local:5000', insecure: true }] });
  t.deepEqual(tableIn(get(dropInPath('reg.local:5000'))), {
    prefix: 'reg.local:5000',
    location: 'reg.local:5000',
    insecure: true,
    mirror: [{ location: '127.0.0.1:31000', insecure: true }],
  });
});

test('a name gets a drop-in: the mirror first, the upstream last', (t) => {
  const { pass, get, signals } = world(t);
  t.deepEqual(pass(), ['write', 'signal']);
  t.deepEqual(pass(), []);
  t.deepEqual(signals, ['crio SIGHUP']);
  t.is(
    get(dropInPath('docker.io')).replace(/^.*\n/, ''),
    `[[registry]]
prefix = "docker.io"
location = "docker.io"

[[registry.mirror]]
location = "127.0.0.1:31000"
insecure = true
`,
  );
});

test('an alias is the mirror and nothing else', (t) => {
  const { pass, get } = world(t);
  pass({ names: [alias] });
  t.deepEqual(tableIn(get(dropInPath(alias.prefix))), {
    prefix: alias.prefix,
    location: '127.0.0.1:31000',
    insecure: true,
  });
});

test('an endpoint of several registries is told apart by a path', (t) => {
  const { pass, get } = world(t);
  const location = '127.0.0.1:31000/mirror-registry-1.docker.io';
  pass({ endpoint: { kind: 'loopback', location } });
  t.like(tableIn(get(dropInPath('docker.io'))), { mirror: [{ location, insecure: true }] });
});

test('a Service address is reached over TLS with the CA beside it; the CA comes first and goes last', (t) => {
  const { pass, get, has, tree } = world(t);
  const before = tree();
  const endpoint = { ...service, location: '10.96.0.10:443/mirror-docker.io' };
  t.deepEqual(pass({ endpoint }), ['write', 'write', 'signal']);
  t.deepEqual(pass({ endpoint }), []);
  t.true(get('/etc/containers/certs.d/10.96.0.10:443/ca.crt').endsWith(certificateOne));
  t.like(tableIn(get(dropInPath('docker.io'))), {
    mirror: [{ location: endpoint.location, insecure: false }],
  });
  t.deepEqual(pass({ endpoint, names: [] }), ['delete', 'forget', 'delete', 'forget', 'signal']);
  t.false(has('/etc/containers'));
  t.deepEqual(tree(), before);
});

test('without a usable CA a first drop-in is not written, and what lies there stays', (t) => {
  const { pass, tree } = world(t);
  const endpoint = { ...service, bundle: undefined };
  t.deepEqual(pass({ endpoint }), ['NotTrusted']);
  pass({ endpoint: service });
  const wired = tree();
  t.deepEqual(pass({ endpoint }), []);
  t.deepEqual(tree(), wired);
});

test('a Service address that is none writes nothing, wherever it points', (t) => {
  const { pass, has } = world(t);
  t.deepEqual(pass({ endpoint: { ...service, location: '../../x' } }), ['InvalidLocation']);
  t.false(has('/etc/containers'));
  t.false(has('/etc/x'));
});

test('a foreign CA is kept: one with ours in it serves, another stops the drop-in', (t) => {
  const { pass, put, get } = world(t);
  put(trustPath('10.96.0.10'), certificateTwo);
  t.deepEqual(pass({ endpoint: service }), ['ForeignFile', 'NotTrusted']);
  put(trustPath('10.96.0.10'), certificateTwo + certificateOne);
  t.deepEqual(pass({ endpoint: service }), ['write', 'signal']);
  t.is(get(trustPath('10.96.0.10')), certificateTwo + certificateOne);
});

test('from Service address to loopback the CA goes', (t) => {
  const { pass, has } = world(t);
  pass({ endpoint: service });
  t.deepEqual(pass(), ['write', 'delete', 'forget', 'signal']);
  t.false(has('/etc/containers/certs.d'));
});

test('where CRI-O reads them by itself nobody is signalled', (t) => {
  const { pass } = world(t);
  t.deepEqual(pass({ signalsCrio: false }), ['write']);
});

test('no two names share a file name', (t) => {
  t.is(
    dropInPath('quay.io:5000'),
    '/etc/containers/registries.conf.d/50-registry-mirror-quay.io_3a5000.conf',
  );
  t.not(dropInPath('quay.io_3a5000'), dropInPath('quay.io:5000'));
  t.is(dirname(dropInPath('../../x')), dropInFolder);
});

for (const location of [
  '[fd00::1]',
  '127.0.0.1:1/mirror-x:5000',
  '127.0.0.1:1/Upper',
  'http://x',
  'a"b',
  'a\nb',
  '',
]) {
  test(`a location with which every pull would fail is not written: ${JSON.stringify(location)}`, (t) => {
    const { pass, has } = world(t);
    t.deepEqual(pass({ endpoint: { kind: 'loopback', location } }), ['InvalidLocation']);
    t.deepEqual(pass({ names: [{ prefix: location || '/' }] }), ['InvalidLocation']);
    t.false(has('/etc/containers'));
  });
}

const tables: Record<string, [path: string, content: string, reason: string]> = {
  'the same prefix': [
    registriesFile,
    '[[registry]]\nprefix = "docker.io/"\nlocation = "x.example"',
    'ForeignRegistry',
  ],
  'a mirror for the name': [
    registriesFile,
    '[[registry]]\nlocation = "docker.io"\n[[registry.mirror]]\nlocation = "x.example"',
    'ForeignRegistry',
  ],
  'the same prefix in a later drop-in': [
    `${dropInFolder}/90-x.conf`,
    '[[registry]]\nlocation = "docker.io"',
    'ForeignRegistry',
  ],
  "the same prefix in a drop-in of root's": [
    `${userDropInFolder}/00-x.conf`,
    '[[registry]]\nlocation = "docker.io"',
    'ForeignRegistry',
  ],
  'the name blocked': [
    `${dropInFolder}/10-x.conf`,
    '[[registry]]\nlocation = "docker.io"\nblocked = true',
    'BlockedRegistry',
  ],
  'a wildcard blocked': [registriesFile, '[[registry]]\nprefix = "*.io"\nblocked = true', 'BlockedRegistry'],
  'the name blocked in version 1': [
    registriesFile,
    '[registries.block]\nregistries = ["docker.io"]',
    'BlockedRegistry',
  ],
  'CRLF line ends and the name insecure': [
    registriesFile,
    '[[registry]]\r\nlocation = "docker.io"\r\ninsecure = true\r\n',
    'ForeignRegistry',
  ],
};

for (const [title, [path, content, reason]] of Object.entries(tables)) {
  test(`a foreign file that has ${title} wins and is named`, (t) => {
    const { pass, put, get, has } = world(t);
    put(path, content);
    t.deepEqual(pass(), [reason]);
    t.false(has(dropInPath('docker.io')));
    t.is(get(path), content);
  });
}

test('a table that comes later takes our drop-in out, and it returns when that is gone', (t) => {
  const { pass, put, has, root } = world(t);
  pass();
  put(registriesFile, '[[registry]]\nlocation = "docker.io"\nblocked = true');
  t.deepEqual(pass(), ['delete', 'forget', 'signal', 'BlockedRegistry']);
  t.false(has(dropInPath('docker.io')));
  t.deepEqual(pass(), ['BlockedRegistry']);
  fs.unlinkSync(join(root, registriesFile));
  t.deepEqual(pass(), ['write', 'signal']);
});

test('with the journal lost a refused name still loses its drop-in', (t) => {
  const { pass, put, has, root } = world(t);
  pass();
  fs.rmSync(join(root, 'var'), { recursive: true });
  put(registriesFile, '[[registry]]\nlocation = "docker.io"\nblocked = true');
  t.deepEqual(pass(), ['delete', 'forget', 'signal', 'BlockedRegistry']);
  t.false(has(dropInPath('docker.io')));
});

test('what changes nothing for the name is no hindrance', (t) => {
  const { pass, put, root } = world(t);
  put(
    registriesFile,
    `unqualified-search-registries = ["docker.io"]
[[registry]]
location = "docker.io"
[[registry]]
prefix = "*.example"
blocked = true
[[registry]]
prefix = "docker.io.example"
location = "x"
[aliases]
"a" = "docker.io/library/a"
`,
  );
  put(`${dropInFolder}/README`, 'not = [toml');
  fs.mkdirSync(join(root, dropInFolder, 'folder.conf'));
  t.deepEqual(pass(), ['write', 'signal']);
});

test('a longer prefix is said: its images do not come by the mirror', (t) => {
  const { pass, put } = world(t);
  put(`${dropInFolder}/10-x.conf`, '[[registry]]\nprefix = "docker.io/library"\nlocation = "x.example"');
  t.deepEqual(pass(), ['write', 'signal', 'LongerPrefix']);
});

test('takeover sets an earlier table out of force, never a later one or one that blocks', (t) => {
  const { pass, put } = world(t);
  const foreignFiles = 'takeover';
  put(registriesFile, '[[registry]]\nlocation = "docker.io"\ninsecure = true');
  t.deepEqual(pass({ foreignFiles }), ['write', 'signal', 'TakenOver']);
  put(`${dropInFolder}/90-x.conf`, '[[registry]]\nlocation = "docker.io"');
  t.deepEqual(pass({ foreignFiles }), ['delete', 'forget', 'signal', 'ForeignRegistry']);
  put(registriesFile, '[[registry]]\nlocation = "docker.io"\nblocked = true');
  t.deepEqual(pass({ foreignFiles }), ['BlockedRegistry', 'ForeignRegistry']);
});

test("root's own registries.conf is said; the drop-in serves everybody else", (t) => {
  const { pass, put, get } = world(t);
  put(userRegistriesFile, '# mine');
  t.deepEqual(pass(), ['write', 'signal', 'UserRegistriesFile']);
  t.is(get(userRegistriesFile), '# mine');
});

test('a file of ours of another mirror is left to it', (t) => {
  const { pass, get } = world(t);
  pass({ mirror: 'other' });
  t.deepEqual(pass(), ['FileOfOtherMirror']);
  t.regex(get(dropInPath('docker.io')), /managed; other;/);
});

const broken: Record<string, [path: string, content: string | Buffer]> = {
  'that does not parse': [registriesFile, '[[registry]\n'],
  'with a byte order mark': [registriesFile, '\ufeff[[registry]]\nlocation = "a"'],
  'with invalid UTF-8': [registriesFile, Buffer.from('# \xff', 'latin1')],
  'whose registry is no array': [registriesFile, '[registry]\nlocation = "a"'],
  'with a table of no name': [registriesFile, '[[registry]]\nblocked = true'],
  'with a location that is a number': [registriesFile, '[[registry]]\nlocation = 1'],
  'of version 1 and 2 at once': [
    registriesFile,
    '[[registry]]\nlocation = "a"\n[registries.block]\nregistries = []',
  ],
  'of version 1 as a drop-in': [`${dropInFolder}/x.conf`, '[registries.search]\nregistries = []'],
  'of ours that somebody broke at the head': [
    `${dropInFolder}/x.conf`,
    'registry-mirror-operator: managed; hub',
  ],
};

for (const [title, [path, content]] of Object.entries(broken)) {
  test(`beside a file ${title} nothing is written, and what lies there stays`, (t) => {
    const { pass, put, has, tree, bytes, root } = world(t);
    put(path, content);
    t.deepEqual(pass(), ['UnparsableFile']);
    t.false(has(dropInPath('docker.io')));
    t.deepEqual(bytes(path), Buffer.from(content));
    fs.unlinkSync(join(root, path));
    pass();
    put(path, content);
    const wired = tree();
    t.deepEqual(pass(), ['UnparsableFile']);
    t.deepEqual(tree(), wired);
  });
}

test('a file that cannot be read stops the writing: a link out of the root, a folder as registries.conf', (t) => {
  const { pass, root, has } = world(t);
  fs.mkdirSync(join(root, registriesFile), { recursive: true });
  t.deepEqual(pass(), ['UnusablePath']);
  fs.rmdirSync(join(root, registriesFile));
  fs.mkdirSync(join(root, dropInFolder));
  fs.symlinkSync('../../../../../usr/share/x.conf', join(root, dropInFolder, 'x.conf'));
  t.deepEqual(pass(), ['UnusablePath']);
  t.false(has(dropInPath('docker.io')));
});

test('a folder in place of our file, and a file in place of the folder of drop-ins, are left', (t) => {
  const { pass, root, put, get } = world(t);
  fs.mkdirSync(join(root, dropInPath('docker.io')), { recursive: true });
  t.deepEqual(pass(), ['UnusablePath']);
  fs.rmSync(join(root, dropInFolder), { recursive: true });
  put(dropInFolder, 'a file');
  t.deepEqual(pass(), ['UnusablePath']);
  t.is(get(dropInFolder), 'a file');
});

test('a registries.conf of 10 MB is gone through once', (t) => {
  const { pass, put } = world(t);
  put(
    registriesFile,
    Array.from(
      { length: 160_000 },
      (_, at) => `[[registry]]\nlocation = "registry-${at}.example"\nblocked = false\n`,
    ).join(''),
  );
  const ms = processorTime(() => t.deepEqual(pass(), ['write', 'signal']));
  // Usual is one second; with the square of the length it would be hours.
  t.true(ms < 20_000, `${ms} ms`);
});

test('the second address of a Service with two families keeps no node from being wired', (t) => {
  const blocking = (names: readonly { prefix: string }[], location: string) => {
    const read = () => ({ kind: 'absent' }) as const;
    const { findings } = planContainersRegistries({
      ...{ mirror: 'hub', names, endpoint: { ...service, location }, foreignFiles: 'refuse' },
      ...{ signalsCrio: false, recorded: [], read, list: () => [] },
    });
    return findings.map(({ reason, blocks }) => [reason, blocks]);
  };
  const [four, six] = [{ prefix: '10.96.0.10' }, { prefix: '[fd00::10]' }];
  t.deepEqual(blocking([four, six], four.prefix), [['InvalidLocation', false]]);
  t.deepEqual(blocking([six], six.prefix), [['InvalidLocation', true]], 'of the only one it must be said');
});
