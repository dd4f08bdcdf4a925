import * as fs from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { makePass, restoreMirrors } from '../../../src/node/pass.ts';
import { bothMirrors, configuration, everyRuntime, sharedAgent, wiredFiles } from './runtime-node.ts';
import {
  faultyFiles,
  Killed,
  makeSandbox,
  passInput,
  type Sandbox,
  toolsWith,
  wiredMirror,
} from './sandbox.ts';

function node(t: { teardown: (remove: () => void) => void }): Sandbox {
  const box = makeSandbox();
  t.teardown(box.remove);
  for (const [path, text] of Object.entries(configuration)) box.put(path, text);
  return box;
}

test('one pass wires every runtime to every mirror; one restore gives the tree from before', async (t) => {
  const box = node(t);
  const before = box.tree();
  const report = await box.pass(sharedAgent(box));
  t.deepEqual(
    report.findings.filter(({ blocks }) => blocks),
    [],
  );
  t.true(report.complete);
  for (const path of wiredFiles) t.not(box.bytes(path), undefined, path);
  t.deepEqual(JSON.parse(box.get('etc/docker/daemon.json')), {
    'registry-mirrors': ['http://127.0.0.1:29001'],
    'log-driver': 'json-file',
  });
  t.regex(
    box.get('etc/containerd/certs.d/docker.io/hosts.toml'),
    /server = "https:\/\/registry-1.docker.io"/,
  );
  t.regex(
    box.get('etc/containerd/certs.d/mirror-docker.io/hosts.toml'),
    /^server = "http:\/\/127\.0\.0\.1:29001"$/m,
    'nobody else',
  );
  const lines = box
    .get('etc/hosts')
    .split('\n')
    .filter((line) => /^[0-9a-f]/.test(line));
  t.deepEqual(lines.map((line) => line.split(/\s+/).slice(0, 2).join(' ')).sort(), [
    '10.96.0.10 mirror-docker.io',
    '10.96.0.11 mirror-quay.example',
    '127.0.0.1 localhost',
    'fd00::11 mirror-quay.example',
  ]);
  t.true((await restoreMirrors(box.options(), toolsWith(fs), () => true)).complete);
  t.deepEqual(box.tree(), before);
  t.false(fs.existsSync(join(box.root, 'var/lib/registry-mirror-operator')));
});

test('an upstream that speaks plain HTTP is asked so by every runtime that falls back on it', async (t) => {
  const box = node(t);
  const plain = wiredMirror('plain', box.caFile, {
    names: [{ name: 'reg.local:5000', upstream: true, scheme: 'http' }],
    addresses: ['10.96.0.12'],
    port: 29_003,
  });
  const docker = { running: true, version: '29.1.0', containerdStore: true };
  await box.pass(sharedAgent(box, [plain], { facts: { ...everyRuntime, docker } }));
  for (const folder of ['etc/containerd/certs.d', 'etc/docker/certs.d'])
    t.regex(box.get(`${folder}/reg.local:5000/hosts.toml`), /^server = "http:\/\/reg\.local:5000"$/m);
  t.regex(
    box.get('etc/containers/registries.conf.d/50-registry-mirror-reg.local_3a5000.conf'),
    /^location = "reg\.local:5000"\ninsecure = true$/m,
  );
});

test('dockerd’s file is left alone while it is down: nobody sees which arguments it will be started with', async (t) => {
  const box = node(t);
  const down = { facts: { ...everyRuntime, docker: { ...everyRuntime.docker, running: false } } };
  const report = await box.pass(sharedAgent(box, undefined, down));
  t.true(report.complete);
  t.is(box.get('etc/docker/daemon.json'), configuration['etc/docker/daemon.json'] ?? '');
  await box.pass(sharedAgent(box));
  const wired = box.get('etc/docker/daemon.json');
  t.regex(wired, /29001/);
  await box.pass(sharedAgent(box, undefined, down));
  t.is(box.get('etc/docker/daemon.json'), wired);
  await box.pass(sharedAgent(box, [], down));
  t.notRegex(box.get('etc/docker/daemon.json'), /29001/);
});

test('what wires a containerd by its default stays while it does not say which release it is', async (t) => {
  const box = node(t);
  box.put('etc/containerd/config.toml', 'version = 2\n');
  const containerd = { running: true, version: '2.2.1' };
  await box.pass(sharedAgent(box, undefined, { facts: { containerd } }));
  const before = box.tree();
  t.not(box.bytes('etc/containerd/certs.d/docker.io/hosts.toml'), undefined);
  for (const silent of [{ running: true }, { running: false }]) {
    await box.pass(sharedAgent(box, undefined, { facts: { containerd: silent } }));
    t.deepEqual(box.tree(), before);
  }
  await box.pass(
    sharedAgent(box, undefined, { facts: { containerd: { running: true, version: '1.7.27' } } }),
  );
  t.is(box.bytes('etc/containerd/certs.d/docker.io/hosts.toml'), undefined);
});

test('with takeover a restore brings back what was there last, whenever it came', async (t) => {
  const path = 'etc/containerd/certs.d/docker.io/hosts.toml';
  for (const first of [undefined, '[host."https://first.example"]\n']) {
    const box = node(t);
    if (first !== undefined) box.put(path, first);
    const mirrors = bothMirrors(box.caFile).map((mirror) => ({
      ...mirror,
      foreignFiles: 'takeover' as const,
    }));
    await box.pass(sharedAgent(box, mirrors));
    const second = '[host."https://second.example"]\n';
    box.put(path, second, 0o600);
    const before = { ...box.tree() };
    const report = await box.pass(sharedAgent(box, mirrors));
    t.true(report.findings.some(({ reason }) => reason === 'TakenOver'));
    t.regex(box.get(path), /29001/);
    await restoreMirrors(box.options(), toolsWith(fs), () => true);
    t.is(box.get(path), second);
    t.is(box.tree()[path], before[path]);
  }
});

test('a folder whose file cannot be written does not stay: containerd would look nowhere else', async (t) => {
  const box = node(t);
  const folder = join(box.root, 'etc/containerd/certs.d/docker.io');
  const full = new Proxy(fs, {
    get: (real, name: keyof typeof fs) => {
      if (name !== 'openSync') return real[name];
      return (path: string, ...rest: [string]) => {
        if (path.startsWith(`${folder}/`)) throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
        return fs.openSync(path, ...rest);
      };
    },
  });
  const report = await box.pass(sharedAgent(box), full as never);
  t.false(report.complete);
  t.false(fs.existsSync(folder));
});

test('a folder that a killed agent has left goes with the next pass', async (t) => {
  const box = node(t);
  const before = box.tree();
  await box.pass(sharedAgent(box));
  const counted = faultyFiles('fail', 0);
  const twin = node(t);
  await twin.pass(sharedAgent(twin));
  await twin.pass(sharedAgent(twin, []), counted);
  const at = counted.made.indexOf('rmdirSync') + 1;
  await t.throwsAsync(box.pass(sharedAgent(box, []), faultyFiles('kill-before', at)), { instanceOf: Killed });
  t.notDeepEqual(box.tree(), before);
  await box.pass(sharedAgent(box, []));
  t.deepEqual(box.tree(), before);
});

test('a second pass has nothing to do', async (t) => {
  const box = node(t);
  await box.pass(sharedAgent(box));
  t.deepEqual((await box.pass(sharedAgent(box))).results, []);
});

test('an agent that knows all mirrors takes back what is in its list no more, whoever wired it', async (t) => {
  const box = node(t);
  const before = box.tree();
  const [hub, quay] = bothMirrors(box.caFile);
  await box.pass(sharedAgent(box, [hub!], { mirrors: () => ({ mirrors: [hub!], whole: false }) }));
  await box.pass(sharedAgent(box, [quay!]));
  t.is(box.bytes('etc/containerd/certs.d/docker.io/hosts.toml'), undefined);
  t.notRegex(box.get('etc/hosts'), /mirror-docker/);
  t.regex(box.get('etc/hosts'), /quay/);
  t.is(box.get('etc/docker/daemon.json'), configuration['etc/docker/daemon.json'] ?? '');
  await box.pass(sharedAgent(box, []));
  t.deepEqual(box.tree(), before);
});

for (const whole of [true, false]) {
  test(`what leads to the port of a mirror by the word of one that is no more goes at once (${whole ? 'all mirrors' : 'one mirror'})`, async (t) => {
    const box = node(t);
    const [hub, quay] = bothMirrors(box.caFile);
    await box.pass(sharedAgent(box, [hub!]));
    // The node was away when hub was deleted and its port was given to quay.
    const next = { ...quay!, port: hub!.port! };
    const list = { mirrors: [next], whole };
    const input = passInput(sharedAgent(box, [], { mirrors: () => list }));
    await makePass({ ...input, mayTakeBack: () => false }, toolsWith(fs));
    t.is(box.bytes('etc/containerd/certs.d/docker.io/hosts.toml'), undefined);
    t.is(box.bytes('etc/containers/registries.conf.d/50-registry-mirror-docker.io.conf'), undefined);
    t.notRegex(box.get('etc/docker/daemon.json'), /29001/);
    t.notRegex(box.get('etc/hosts'), /mirror-docker/);
    t.regex(box.get('etc/containerd/certs.d/quay.example/hosts.toml'), /127\.0\.0\.1:29001/);
  });
}

test('an agent of one mirror leaves what other mirrors have', async (t) => {
  const box = node(t);
  const [hub, quay] = bothMirrors(box.caFile);
  await box.pass(sharedAgent(box, [hub!]));
  await box.pass(sharedAgent(box, [quay!], { mirrors: () => ({ mirrors: [quay!], whole: false }) }));
  for (const path of wiredFiles) t.not(box.bytes(path), undefined, path);
});

test('moving from one agent for each mirror to one for all and back changes no byte', async (t) => {
  const box = node(t);
  const both = bothMirrors(box.caFile);
  for (const mirror of both)
    await box.pass(sharedAgent(box, [mirror], { mirrors: () => ({ mirrors: [mirror], whole: false }) }));
  const wired = box.tree();
  t.deepEqual((await box.pass(sharedAgent(box))).results, []);
  for (const mirror of both)
    await box.pass(sharedAgent(box, [mirror], { mirrors: () => ({ mirrors: [mirror], whole: false }) }));
  t.deepEqual(box.tree(), wired);
});

test('lines for a name of the upstream itself go while the mirror does not answer; those of an alias stay', async (t) => {
  const box = node(t);
  const facts = { docker: everyRuntime.docker! };
  const pass = (changes: Parameters<typeof sharedAgent>[2] = {}) =>
    box.pass(sharedAgent(box, bothMirrors(box.caFile), { facts, ...changes }));
  await pass();
  t.regex(box.get('etc/hosts'), /\tquay\.example\t/);
  await pass({ answers: ({ name }) => name !== 'quay' });
  t.notRegex(box.get('etc/hosts'), /\tquay\.example\t/);
  t.regex(box.get('etc/hosts'), /\tmirror-quay\.example\t/);
  await pass();
  t.regex(box.get('etc/hosts'), /\tquay\.example\t/);
});

test('a line for Docker alone never takes the upstream away from a runtime that falls back on it', async (t) => {
  const { docker, containerd, crio } = everyRuntime;
  for (const other of [{ containerd: containerd! }, { crio: crio! }]) {
    const box = node(t);
    const facts = { docker: docker!, ...other };
    const report = await box.pass(sharedAgent(box, bothMirrors(box.caFile), { facts }));
    t.notRegex(box.get('etc/hosts'), /\tquay\.example\t/);
    t.regex(box.get('etc/hosts'), /\tmirror-quay\.example\t/);
    t.deepEqual(
      report.findings.map(({ reason, blocks }) => ({ reason, blocks })),
      [{ reason: 'DockerNotLed', blocks: false }],
    );
    t.true(report.complete);
  }
});

test('a containerd that pulls no images of pods, and registries.conf of tools, leave Docker its line', async (t) => {
  const box = node(t);
  box.put('etc/containerd/config.toml', 'disabled_plugins = ["cri"]\n');
  const facts = { ...everyRuntime, crio: { running: false } };
  await box.pass(sharedAgent(box, bothMirrors(box.caFile), { facts }));
  t.regex(box.get('etc/hosts'), /\tquay\.example\t/);
});

test('a runtime that is named, or lines that are, decide', async (t) => {
  for (const runtimes of [['docker'], ['auto', 'hosts']] as const) {
    const box = node(t);
    const mirrors = bothMirrors(box.caFile).map((mirror) => ({ ...mirror, runtimes }));
    await box.pass(sharedAgent(box, mirrors));
    t.regex(box.get('etc/hosts'), /\tquay\.example\t/);
  }
});

test('where containerd alone runs, no line is written for a name of the upstream, and Docker’s configuration stays', async (t) => {
  const box = node(t);
  await box.pass(
    sharedAgent(box, bothMirrors(box.caFile), { facts: { containerd: everyRuntime.containerd! } }),
  );
  t.notRegex(box.get('etc/hosts'), /\tquay\.example\t/);
  t.is(box.get('etc/docker/daemon.json'), configuration['etc/docker/daemon.json'] ?? '');
  t.deepEqual(fs.readdirSync(join(box.root, 'etc/containers')), ['registries.conf']);
  t.not(box.bytes('etc/containerd/certs.d/quay.example/hosts.toml'), undefined);
});

test('a runtime that is gone loses its files; so does one that is not wanted any more', async (t) => {
  const box = node(t);
  await box.pass(sharedAgent(box));
  const { containerd } = everyRuntime;
  await box.pass(sharedAgent(box, bothMirrors(box.caFile), { facts: { containerd: containerd! } }));
  t.is(box.get('etc/docker/daemon.json'), configuration['etc/docker/daemon.json'] ?? '');
  t.false(fs.existsSync(join(box.root, 'etc/containers/registries.conf.d')));
  const dockerOnly = bothMirrors(box.caFile).map((mirror) => ({ ...mirror, runtimes: ['docker' as const] }));
  await box.pass(sharedAgent(box, dockerOnly));
  t.false(fs.existsSync(join(box.root, 'etc/containerd/certs.d')));
});

test('Docker 29’s image store reads hosts.toml among its certificates', async (t) => {
  const box = node(t);
  const facts = { docker: { running: true, version: '29.1.0', containerdStore: true } };
  await box.pass(sharedAgent(box, bothMirrors(box.caFile), { facts }));
  t.regex(box.get('etc/docker/certs.d/docker.io/hosts.toml'), /127\.0\.0\.1:29001/);
  t.is(box.get('etc/docker/daemon.json'), configuration['etc/docker/daemon.json'] ?? '');
  t.notRegex(box.get('etc/hosts'), /\tquay\.example\t/);
});

test('with endpoint service the address of the Service is written, with the CA beside it', async (t) => {
  const box = node(t);
  const mirrors = bothMirrors(box.caFile).map((mirror) => ({ ...mirror, endpoint: 'service' as const }));
  t.true((await box.pass(sharedAgent(box, mirrors))).complete);
  t.regex(box.get('etc/containerd/certs.d/quay.example/hosts.toml'), /https:\/\/10\.96\.0\.11/);
  t.regex(box.get('etc/containerd/certs.d/quay.example/ca.crt'), /BEGIN CERTIFICATE/);
  t.regex(box.get('etc/containers/certs.d/10.96.0.11/ca.crt'), /BEGIN CERTIFICATE/);
  t.is(box.get('etc/docker/daemon.json'), configuration['etc/docker/daemon.json'] ?? '');
});

test('a mirror that asks for the agents’ certificate gets no line that leads around them', async (t) => {
  const box = node(t);
  const mirrors = bothMirrors(box.caFile).map((mirror) => ({ ...mirror, clientCertificate: true }));
  await box.pass(sharedAgent(box, mirrors));
  t.is(box.get('etc/hosts'), configuration['etc/hosts'] ?? '');
  t.not(box.bytes('etc/containerd/certs.d/quay.example/hosts.toml'), undefined);
});

test('a file of one runtime that cannot be understood stops that runtime alone', async (t) => {
  const box = node(t);
  box.put('etc/docker/daemon.json', '{ broken');
  box.put('etc/containers/registries.conf', '= broken');
  box.put('etc/containerd/config.toml', '[[[ broken');
  const report = await box.pass(sharedAgent(box));
  t.false(report.complete);
  t.deepEqual([...new Set(report.findings.filter(({ blocks }) => blocks).map(({ path }) => path))].sort(), [
    '/etc/containerd/config.toml',
    '/etc/containers/registries.conf',
    '/etc/docker/daemon.json',
  ]);
  t.is(box.get('etc/docker/daemon.json'), '{ broken');
  t.regex(box.get('etc/hosts'), /mirror-docker\.io/);
});

test('a certificate that cannot be written keeps back the lines of its mirror alone', async (t) => {
  const box = node(t);
  fs.mkdirSync(join(box.root, 'etc/docker/certs.d/mirror-docker.io/ca.crt'), { recursive: true });
  const report = await box.pass(sharedAgent(box));
  t.false(report.complete);
  t.notRegex(box.get('etc/hosts'), /mirror-docker\.io/);
  t.regex(box.get('etc/hosts'), /mirror-quay\.example/);
});

test('with the journal lost, a restore that knows the mirror takes back every file that is marked', async (t) => {
  const box = node(t);
  const [, quay] = bothMirrors(box.caFile);
  const before = box.tree();
  const list = { mirrors: () => ({ mirrors: [quay!], whole: false }) };
  await box.pass(sharedAgent(box, [], list));
  fs.rmSync(join(box.root, 'var'), { recursive: true });
  await box.pass(sharedAgent(box, [], { ...list, mode: 'restore' }));
  const files = (tree: Record<string, string>) =>
    Object.fromEntries(
      Object.entries(tree).filter(([path, what]) => what.startsWith('file') && !path.includes('backup')),
    );
  t.deepEqual(files(box.tree()), files(before));
});

test('a mirror in services mode is trusted under its address, and nothing leads there', async (t) => {
  const box = node(t);
  const mirror = wiredMirror('hub', box.caFile, {
    names: [{ name: '10.96.0.10', upstream: false }],
    addresses: ['10.96.0.10'],
    endpoint: 'service',
    certificateNames: ['10.96.0.10'],
  });
  t.true((await box.pass(sharedAgent(box, [mirror]))).complete);
  t.is(box.get('etc/hosts'), configuration['etc/hosts'] ?? '');
  t.regex(box.get('etc/containerd/certs.d/10.96.0.10/hosts.toml'), /https:\/\/10\.96\.0\.10/);
  t.regex(box.get('etc/docker/certs.d/10.96.0.10/ca.crt'), /BEGIN CERTIFICATE/);
});

test('a containerd that reads no hosts.toml is configured where that is asked for, by several mirrors at once, and taken back with the last', async (t) => {
  const box = node(t);
  box.put('etc/containerd/config.toml', 'version = 2\n');
  const before = box.tree();
  const both = bothMirrors(box.caFile).map((mirror) => ({ ...mirror, containerd: 'configure' as const }));
  t.true((await box.pass(sharedAgent(box, both))).complete);
  t.regex(box.get('etc/containerd/config.toml'), /config_path = "\/etc\/containerd\/certs.d"/);
  t.regex(box.get('etc/containerd/certs.d/quay.example/hosts.toml'), /29002/);
  t.deepEqual((await box.pass(sharedAgent(box, both))).results, []);
  await box.pass(sharedAgent(box, both.slice(0, 1)));
  t.regex(box.get('etc/containerd/config.toml'), /config_path/);
  await box.pass(sharedAgent(box, []));
  t.deepEqual(box.tree(), before);
});

test('containerd is restarted for our change alone, never for what somebody else has changed since', async (t) => {
  const box = node(t);
  const [hub] = bothMirrors(box.caFile).map((mirror) => ({ ...mirror, containerd: 'configure' as const }));
  const [path, imported] = ['etc/containerd/config.toml', 'etc/containerd/more.toml'];
  box.put(path, 'version = 2\nimports = ["/etc/containerd/more.toml"]\n');
  box.put(imported, '');
  const startedAt = Date.now() - 3_600_000;
  const age = (file: string) => fs.utimesSync(join(box.root, file), 0, 0);
  for (const file of [path, imported]) age(file);
  const facts = { containerd: { running: true, version: '1.7.27', configFile: `/${path}`, startedAt } };
  const pass = () => box.pass(sharedAgent(box, [hub!], { facts }));
  t.like(await pass(), { configured: [hub!.name], containerd: { reason: 'NotRestarted' } });
  box.put(imported, 'oom_score = -999\n');
  t.like(await pass(), { configured: [], containerd: { reason: 'NotRestarted' } });
  age(imported);
  const ours = box.get(path);
  t.deepEqual((await pass()).configured, [hub!.name]);
  box.put(path, `oom_score = -999\n${ours}`);
  t.like(await pass(), { configured: [], containerd: { reason: 'NotRestarted' } });
});

test('of two mirrors of docker.io one is let go of as soon as daemon.json no longer has it', async (t) => {
  const box = node(t);
  const [hub] = bothMirrors(box.caFile);
  const two = { ...hub!, name: 'two', masquerade: 'two.example', port: 29_009 };
  const facts = { docker: everyRuntime.docker! };
  t.deepEqual((await box.pass(sharedAgent(box, [hub!, two], { facts }))).owners, ['hub', 'two']);
  await box.pass(sharedAgent(box, [two], { facts }));
  t.deepEqual((await box.pass(sharedAgent(box, [two], { facts }))).owners, ['two']);
  await box.pass(sharedAgent(box, [], { facts }));
  t.deepEqual((await box.pass(sharedAgent(box, [], { facts }))).owners, []);
});

test('with the journal lost, every file that is marked is found: by a restore of all, and by an agent whose list has the mirror no more', async (t) => {
  const files = (box: Sandbox) =>
    Object.entries(box.tree()).filter(([path, what]) => what.startsWith('file') && !path.includes('backup'));
  for (const takeBack of [
    (box: Sandbox) => restoreMirrors(box.options(), toolsWith(fs), () => true, { facts: everyRuntime }),
    (box: Sandbox) => box.pass(sharedAgent(box, [])),
  ]) {
    const box = node(t);
    const before = files(box);
    const service = bothMirrors(box.caFile).map((mirror) => ({ ...mirror, endpoint: 'service' as const }));
    await box.pass(sharedAgent(box, service));
    fs.rmSync(join(box.root, 'var'), { recursive: true });
    const report = await takeBack(box);
    t.deepEqual(files(box), before);
    t.deepEqual(report.owners, []);
  }
});

test('what a classic Docker is not led to is said, and by which field', async (t) => {
  const box = node(t);
  const facts = { docker: everyRuntime.docker! };
  const notLed = async (changes: object) => {
    const mirrors = bothMirrors(box.caFile).map((mirror) => ({ ...mirror, ...changes }));
    const { findings } = await box.pass(sharedAgent(box, mirrors, { facts }));
    return findings.filter(({ reason }) => reason === 'DockerNotLed').map(({ message }) => message);
  };
  t.deepEqual(await notLed({}), []);
  const service = (await notLed({ endpoint: 'service' })).join();
  t.regex(service, /docker\.io.*endpoint/);
  t.regex(service, /quay\.example.*endpoint/);
  t.notRegex(box.get('etc/hosts'), /\tquay\.example\t/);
  await notLed({ endpoint: 'service', runtimes: ['docker', 'hosts'] });
  t.regex(box.get('etc/hosts'), /\tquay\.example\t/);
  t.regex((await notLed({ clientCertificate: true })).join(), /quay\.example.*clientCertificate/);
});

test('a Docker before 29 is led as a classic one, whatever its image store is', async (t) => {
  const box = node(t);
  const facts = { docker: { running: true, version: '27.5.1', containerdStore: true } };
  await box.pass(sharedAgent(box, bothMirrors(box.caFile), { facts }));
  t.regex(box.get('etc/docker/daemon.json'), /127\.0\.0\.1:29001/);
  t.regex(box.get('etc/hosts'), /\tquay\.example\t/);
});
