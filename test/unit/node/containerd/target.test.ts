import test from 'ava';
import fc from 'fast-check';
import { parse } from 'smol-toml';
import { parseCaBundle } from '../../../../src/node/ca-bundle.ts';
import type { ContainerdInput } from '../../../../src/node/containerd/input.ts';
import { planContainerd } from '../../../../src/node/containerd/target.ts';
import type { FileRecord } from '../../../../src/node/journal.ts';
import { certificateOne, certificateTwo } from '../certificates.ts';
import { memoryHost } from './memory-host.ts';

const config = {
  '/etc/containerd/config.toml':
    'version = 3\n[plugins."io.containerd.cri.v1.images".registry]\nconfig_path = "/c"\n',
};
const list = '/etc/containerd/certs.d:/etc/docker/certs.d';
const path = '/c/docker.io/hosts.toml';

function inputOf(
  files: Parameters<typeof memoryHost>[0],
  changes: Partial<ContainerdInput>,
): ContainerdInput {
  return {
    ...memoryHost({ ...config, ...files }),
    mirror: 'hub',
    names: [{ name: 'docker.io', upstream: true }],
    endpoint: 'http://127.0.0.1:30001',
    bundle: parseCaBundle(Buffer.from(certificateOne)),
    foreignFiles: 'refuse',
    found: false,
    recorded: [],
    ...changes,
  };
}

function plan(files: Parameters<typeof memoryHost>[0], changes: Partial<ContainerdInput> = {}) {
  const { actions, findings } = planContainerd(inputOf(files, changes));
  const text = (at: string) => {
    const action = actions.find((each) => each.do === 'write' && each.path === at);
    return action?.do === 'write' ? action.content.toString() : undefined;
  };
  return {
    actions,
    done: actions.map((action) => `${action.do} ${action.path}`),
    reasons: findings.map(({ reason }) => reason),
    findings,
    text,
  };
}

function record(at: string, mirror = 'hub'): FileRecord {
  return { path: at, mirror, kind: 'containerd-hosts', original: { kind: 'absent' } };
}

const ours = plan({}).text(path)!;

test('a name of the upstream gets a file with the mirror first and the upstream last', (t) => {
  t.deepEqual(plan({}).done, [`write ${path}`]);
  t.regex(
    ours,
    /^# registry-mirror-operator: managed; hub; sha256 [0-9a-f]{64}\nserver = "https:\/\/registry-1\.docker\.io"\n\[host\."http:\/\/127\.0\.0\.1:30001"\]\n/,
  );
  t.like(plan({ [path]: ours }), { actions: [], findings: [] });
});

test('the server of an upstream that speaks plain HTTP does', (t) => {
  const { text } = plan({}, { names: [{ name: 'reg.local:5000', upstream: true, scheme: 'http' }] });
  const { server } = parse(text('/c/reg.local:5000/hosts.toml')!) as { server?: string };
  t.is(server, 'http://reg.local:5000');
});

test('an alias gets no server but the mirror', (t) => {
  const { text } = plan({}, { names: [{ name: 'mirror-hub.example', upstream: false }] });
  t.is(
    (parse(text('/c/mirror-hub.example/hosts.toml')!) as { server?: string }).server,
    'http://127.0.0.1:30001',
  );
});

test('a mirror behind TLS: the CA is written before the file that names it', (t) => {
  const secure = { endpoint: 'https://10.96.0.10' };
  const { actions, done, text } = plan({}, secure);
  t.deepEqual(done, ['write /c/docker.io/ca.crt', `write ${path}`]);
  t.deepEqual(actions[1]?.after, ['/c/docker.io/ca.crt']);
  t.true(text('/c/docker.io/ca.crt')!.endsWith(certificateOne));
  const wired = { '/c/docker.io/ca.crt': text('/c/docker.io/ca.crt')!, [path]: text(path)! };
  t.deepEqual(plan(wired, secure).done, []);
  t.like(plan({}, { ...secure, bundle: undefined }), { actions: [], reasons: ['NotTrusted'] });
  t.deepEqual(
    plan(wired, { ...secure, bundle: undefined, recorded: Object.keys(wired).map((each) => record(each)) })
      .done,
    [],
  );
});

test('an upstream that a certificate of the user’s is trusted by stays trusted', (t) => {
  const files = { '/c/r:1/ca.crt': certificateTwo };
  const input = { names: [{ name: 'r:1', upstream: true }] };
  const { done, text, actions } = plan(files, input);
  t.deepEqual(done, ['write /c/r:1/upstream.crt', 'write /c/r:1/hosts.toml']);
  t.is((parse(text('/c/r:1/hosts.toml')!) as { ca?: string }).ca, 'upstream.crt');
  const wired = {
    ...files,
    '/c/r:1/upstream.crt': text('/c/r:1/upstream.crt')!,
    '/c/r:1/hosts.toml': text('/c/r:1/hosts.toml')!,
  };
  t.deepEqual(plan(wired, input).done, []);
  t.is(actions.length, 2);
  const recorded = ['hosts.toml', 'upstream.crt'].map((file) => record(`/c/r:1/${file}`));
  const broken = plan({ ...wired, '/c/r:1/ca.crt': 'garbage' }, { ...input, recorded });
  t.like(broken, { done: [], reasons: ['UnusableAuthority'] });
  const { '/c/r:1/ca.crt': _, ...left } = wired;
  const gone = plan(left, { ...input, recorded });
  t.deepEqual(gone.done, [
    'write /c/r:1/hosts.toml',
    'delete /c/r:1/upstream.crt',
    'forget /c/r:1/upstream.crt',
  ]);
  t.deepEqual(gone.actions[1]?.after, ['/c/r:1/hosts.toml']);
  t.like(plan(files, { ...input, endpoint: 'https://10.96.0.10' }), { done: [], reasons: ['ForeignFile'] });
});

test('a foreign hosts.toml is kept, taken over by policy, or serves as it is', (t) => {
  const foreign = { [path]: '[host."https://other"]\n' };
  t.like(plan(foreign), { done: [], reasons: ['ForeignFile'] });
  t.like(plan(foreign, { foreignFiles: 'takeover' }), { done: [`write ${path}`], reasons: ['TakenOver'] });
  t.like(plan({ [path]: '[host."http://127.0.0.1:30001"]\n' }), { done: [], reasons: [] });
  t.like(plan({ [path]: 'server = ' }), { done: [], reasons: ['IgnoredHosts', 'ForeignFile'] });
  t.like(plan({ [path]: ours }, { mirror: 'two' }), { done: [], reasons: ['FileOfOtherMirror'] });
  t.like(plan({ [path]: ours.replace('2s', '9s') }), { done: [`write ${path}`], reasons: ['EditedFile'] });
});

test('a file of ours whose header was moved is no foreign one to bring back', (t) => {
  const takesOver = (content: string) =>
    plan({ [path]: content }, { foreignFiles: 'takeover' }).actions.map(
      (action) => 'takesOver' in action && action.takesOver,
    );
  t.deepEqual(takesOver(`# a note\n${ours.replaceAll('30001', '30009')}`), [false]);
  t.deepEqual(takesOver('[host."https://other"]\n'), [true]);
});

test('hosts of _default that our folder hides are said', (t) => {
  t.like(plan({ '/c/_default/hosts.toml': '[host."https://other"]\n' }), {
    done: [`write ${path}`],
    reasons: ['ShadowedHosts'],
  });
});

test('a folder in place of the file, a file in place of a folder and names that are none touch nothing', (t) => {
  t.like(plan({ [`${path}/x`]: '' }), { done: [], reasons: ['UnusablePath'] });
  t.like(plan({ '/c/docker.io': '' }), { done: [], reasons: ['UnusablePath'] });
  t.like(plan({ '/c': '' }), { done: [], reasons: ['UnusablePath'] });
  t.like(plan({ '/c': { kind: 'unusable', why: 'ENOLINK' } }), { done: [], reasons: ['UnusablePath'] });
  const names = ['../../etc', '_default', 'a\n[host."http://evil"]'].map((name) => ({
    name,
    upstream: true,
  }));
  t.like(plan({}, { names }), { done: [], reasons: ['UnusableName'] });
});

test('a list gets its link after the file, once', (t) => {
  const none = { '/etc/containerd/config.toml': 'version = 3\n' };
  const file = '/etc/containerd/certs.d/docker.io/hosts.toml';
  const { done, actions } = plan(none);
  t.deepEqual(done, [`write ${file}`, `link ${list}`]);
  t.deepEqual(actions[1]?.after, [file]);
  t.deepEqual(plan({ ...none, [file]: ours, [`${list}/docker.io/hosts.toml`]: ours }).done, []);
  t.deepEqual(plan({ ...none, [file]: '[host."https://other"]' }).done, []);
  t.deepEqual(plan({ ...none, [file]: ours }, { names: [] }).done, []);
});

test('without config_path nothing is written and it is said, once a containerd is there at all', (t) => {
  const none = { '/etc/containerd/config.toml': { kind: 'absent' } as const };
  t.like(plan(none), { done: [], reasons: [] });
  t.like(plan(none, { found: true }), { done: [], reasons: ['ConfigPathUnset'] });
  t.deepEqual(plan(none, { found: true, release: '2.4.2' }).done.length, 2);
  t.like(plan({ '/etc/containerd/config.toml': 'version = 2' }), { done: [], reasons: ['ConfigPathUnset'] });
  t.like(plan({ '/etc/containerd/config.toml': 'disabled_plugins = ["cri"]' }, { found: true }), {
    done: [],
    reasons: [],
  });
});

test('what is no longer wanted goes, the file before its certificates; what became somebody else’s stays', (t) => {
  const wired = { '/c/old/ca.crt': ours, '/c/old/hosts.toml': ours, '/c/taken/hosts.toml': 'x' };
  const recorded = Object.keys(wired).map((each) => record(each));
  const { done, actions } = plan(wired, { recorded, names: [] });
  t.deepEqual(done, [
    'delete /c/old/hosts.toml',
    'forget /c/old/hosts.toml',
    'forget /c/taken/hosts.toml',
    'delete /c/old/ca.crt',
    'forget /c/old/ca.crt',
  ]);
  t.deepEqual(actions[3]?.after, ['/c/old/hosts.toml']);
});

test('a config_path that moves takes the file along; a configuration that cannot be read moves nothing', (t) => {
  const wired = { '/old/docker.io/hosts.toml': ours, '/old/gone/hosts.toml': ours };
  const recorded = Object.keys(wired).map((each) => record(each));
  t.deepEqual(plan(wired, { recorded }).done[0], `write ${path}`);
  t.true(plan(wired, { recorded }).done.includes('delete /old/docker.io/hosts.toml'));
  const broken = plan({ ...wired, '/etc/containerd/config.toml': 'version = [' }, { recorded, found: true });
  t.like(broken, {
    done: ['delete /old/gone/hosts.toml', 'forget /old/gone/hosts.toml'],
    reasons: ['UnreadableConfig'],
  });
});

test('two containerds are both wired, one folder of both once', (t) => {
  const k3s = '/var/lib/rancher/k3s/agent/etc/containerd/config.toml';
  const other = config['/etc/containerd/config.toml'].replace('"/c"', '"/k"');
  t.deepEqual(plan({ [k3s]: other }).done, [`write ${path}`, 'write /k/docker.io/hosts.toml']);
  t.deepEqual(plan({ [k3s]: config['/etc/containerd/config.toml'] }).done, [`write ${path}`]);
});

test('the folder of another runtime is wired beside containerd’s, and what may be ours is told', (t) => {
  const docker = [{ roots: ['/etc/docker/certs.d'] as const }];
  const { actions, paths } = planContainerd(inputOf({}, { endpoint: 'https://10.96.0.10' }), docker);
  const files = ['/c/docker.io', '/etc/docker/certs.d/docker.io'].flatMap((folder) => [
    `${folder}/ca.crt`,
    `${folder}/hosts.toml`,
  ]);
  t.deepEqual(
    actions.map((action) => action.path),
    files,
  );
  t.deepEqual([...paths].sort(), files);
});

test('for any folders of the user’s nothing but a file of ours is planned, and never over one of theirs', (t) => {
  const folders = ['/c/_default', '/c/r', '/c/r_1_', '/c/r:1', '/c/docker.io', '/d/docker.io', '/d/r:1'];
  const names = ['hosts.toml', 'ca.crt', 'upstream.crt', 'x.cert', 'x.key', 'note'];
  const contents = fc.constantFrom(
    '',
    'garbage',
    certificateOne,
    ours,
    '[host."https://other"]\n',
    '[host."http://127.0.0.1:30001"]\n',
  );
  const trees = fc.dictionary(
    fc
      .tuple(fc.constantFrom(...folders), fc.constantFrom(...names))
      .map(([folder, name]) => `${folder}/${name}`),
    contents,
    { maxKeys: 8 },
  );
  const both = {
    '/etc/containerd/config.toml': config['/etc/containerd/config.toml'].replace('"/c"', '"/c:/d"'),
  };
  fc.assert(
    fc.property(trees, fc.constantFrom('http://127.0.0.1:30001', 'https://10.96.0.10'), (tree, endpoint) => {
      const wired = ['docker.io', 'r:1'].map((name) => ({ name, upstream: true }));
      const { actions } = plan({ ...tree, ...both }, { names: wired, endpoint });
      for (const action of actions) {
        if (action.do === 'link') continue;
        t.is(action.do, 'write');
        t.true([undefined, ours].includes(tree[action.path]), action.path);
        t.regex(action.path, /^\/c\/(docker\.io|r:1|r_1_)\/(hosts\.toml|ca\.crt|upstream\.crt)$/);
      }
    }),
    { numRuns: 1000 },
  );
});

test('while another containerd runs, the folders of one that is away stay wired, and nothing is said of them', (t) => {
  const other = '/opt/containerd.toml';
  const table = 'version = 3\n[plugins."io.containerd.cri.v1.images".registry]\n';
  const files = { [other]: `${table}config_path = "/other"\n` };
  const recorded = [record(path)];
  const running = { found: true, release: '2.4.2', configFile: other, recorded };
  t.deepEqual(plan({ ...files, [path]: ours }, running).done, ['write /other/docker.io/hosts.toml']);
  const foreign = plan(
    { ...files, [path]: 'server = "https://other.example"\n' },
    { ...running, recorded: [] },
  );
  t.like(foreign, { done: ['write /other/docker.io/hosts.toml'], reasons: [] });
  const unset = plan({ [other]: 'version = 2\n' }, { ...running, release: '1.7.27' });
  t.deepEqual(unset.reasons, ['ConfigPathUnset']);
});
