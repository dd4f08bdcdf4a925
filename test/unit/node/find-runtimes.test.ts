import * as fs from 'node:fs';
import test from 'ava';
import { RuntimeFinder } from '../../../src/node/runtimes/find-runtimes.ts';
import { makeSandbox, type Sandbox } from './sandbox.ts';

const silent = async () => undefined;
const questions = { containerdVersion: silent, crioVersion: silent, dockerInfo: silent };

/** A process of root's on the node; `ids` where it is in a container. */
function run(
  box: Sandbox,
  pid: number,
  name: string,
  { ids = [pid], flags = [] }: { readonly ids?: readonly number[]; readonly flags?: readonly string[] } = {},
): void {
  box.put(`proc/${pid}/comm`, `${name}\n`);
  box.put(`proc/${pid}/status`, `NSpid:\t${ids.join('\t')}\n`);
  box.put(`proc/${pid}/stat`, `${pid} (${name}) S 1 ${'0 '.repeat(17)}5000 0`);
  box.put(`proc/${pid}/cmdline`, [`/usr/bin/${name}`, ...flags].map((each) => `${each}\0`).join(''));
}

/** Everything is root's. */
const rootsFiles = new Proxy(fs, {
  get: (real, name: keyof typeof fs) =>
    name === 'lstatSync' ? (path: string) => Object.assign(fs.lstatSync(path), { uid: 0 }) : real[name],
});

test('Docker in a pod is not the node’s, nor is a k3s node’s containerd Docker’s alone', async (t) => {
  const box = makeSandbox();
  t.teardown(box.remove);
  box.put('proc/uptime', '100.00 0');
  run(box, 10, 'dockerd', { ids: [10, 1] });
  run(box, 11, 'containerd');
  box.put('run/k3s/containerd/containerd.sock', '');
  const finder = new RuntimeFinder({ files: rootsFiles, hostRoot: box.root, ...questions });
  const found = await finder.find();
  t.is(found.docker, undefined);
  t.like(found.containerd, { running: true });
  run(box, 12, 'dockerd');
  t.like(await finder.find(), { docker: { running: true }, containerd: { running: true } });
});

test('The containerd of a Docker that the kubelet uses is Docker’s alone, also while Docker is restarted', async (t) => {
  const box = makeSandbox();
  t.teardown(box.remove);
  box.put('proc/uptime', '100.00 0');
  run(box, 10, 'dockerd');
  run(box, 11, 'containerd');
  box.put('run/containerd/containerd.sock', '');
  const clock = { now: 100_000 };
  const finder = new RuntimeFinder({
    ...questions,
    files: rootsFiles,
    hostRoot: box.root,
    now: () => clock.now,
  });
  t.is((await finder.find()).containerd, undefined);
  fs.rmSync(`${box.root}/proc/10`, { recursive: true });
  t.is((await finder.find()).containerd, undefined, 'Docker is being restarted');
  clock.now += 120_000;
  t.like((await finder.find()).containerd, { running: true });
  run(box, 12, 'dockerd');
  // As Debian's package leaves it.
  box.put('etc/containerd/config.toml', 'version = 2\n[plugins]\n');
  t.like((await finder.find()).containerd, { running: true });
  const flags = (socket: string) =>
    `KUBELET_KUBEADM_ARGS="--container-runtime-endpoint=unix:///run/${socket}"\n`;
  box.put('var/lib/kubelet/kubeadm-flags.env', flags('cri-dockerd.sock'));
  t.is((await finder.find()).containerd, undefined);
  box.put('var/lib/kubelet/kubeadm-flags.env', flags('containerd/containerd.sock'));
  t.like((await finder.find()).containerd, { running: true });
});

test('A runtime that is away or silent for a moment is what it said before; later it is gone', async (t) => {
  const box = makeSandbox();
  t.teardown(box.remove);
  box.put('proc/uptime', '100.00 0');
  run(box, 11, 'containerd');
  box.put('run/containerd/containerd.sock', '');
  const clock = { now: 100_000 };
  const answers: (string | undefined)[] = ['2.2.1'];
  const containerdVersion = async () => answers.shift();
  const options = {
    ...questions,
    containerdVersion,
    files: rootsFiles,
    hostRoot: box.root,
    now: () => clock.now,
  };
  const finder = new RuntimeFinder(options);
  t.like((await finder.find()).containerd, { running: true, version: '2.2.1' });
  for (const path of ['proc/11', 'run/containerd']) fs.rmSync(`${box.root}/${path}`, { recursive: true });
  clock.now += 30_000;
  t.like((await finder.find()).containerd, { running: false, version: '2.2.1' });
  run(box, 12, 'containerd');
  box.put('run/containerd/containerd.sock', '');
  t.like((await finder.find()).containerd, { running: true, version: '2.2.1' }, 'it does not answer yet');
  answers.push('2.3.0');
  t.like((await finder.find()).containerd, { running: true, version: '2.3.0' });
  for (const path of ['proc/12', 'run/containerd']) fs.rmSync(`${box.root}/${path}`, { recursive: true });
  clock.now += 120_000;
  t.is((await finder.find()).containerd, undefined);
});

test('each look reads the name of every process once, whatever it looks for', async (t) => {
  const box = makeSandbox();
  t.teardown(box.remove);
  box.put('proc/uptime', '100.00 0');
  for (const [at, name] of ['dockerd', 'containerd', 'sh'].entries()) run(box, 10 + at, name);
  box.put('etc/containerd/config.toml', '');
  const read: string[] = [];
  const files = new Proxy(rootsFiles, {
    get: (real, name: keyof typeof fs) => {
      if (name !== 'readFileSync') return real[name];
      return (path: string, ...rest: []) => {
        if (path.endsWith('/comm')) read.push(path);
        return fs.readFileSync(path, ...rest);
      };
    },
  });
  const finder = new RuntimeFinder({ files, hostRoot: box.root, now: () => 100_000, ...questions });
  const found = await finder.find();
  t.like(found.docker, { running: true, startedAt: 50_000, commandLine: ['/usr/bin/dockerd'] });
  t.like(found.containerd, { running: true });
  t.is(found.crio, undefined);
  t.is(read.length, 3);
  fs.rmSync(`${box.root}/proc/11`, { recursive: true });
  t.like((await finder.find()).containerd, { running: false });
  t.is(read.length, 5);
});

const ofK3s = '/var/lib/rancher/k3s/agent/etc/containerd/config.toml';
const ofDocker = '/etc/containerd/config.toml';

/** What is found where Docker's containerd (process 11) and k3s' (12) run; the release says which socket was asked. */
async function findOfTwo(box: Sandbox) {
  box.put('proc/uptime', '100.00 0');
  run(box, 10, 'dockerd');
  run(box, 11, 'containerd');
  run(box, 12, 'containerd', { flags: ['-c', ofK3s] });
  box.put(ofDocker.slice(1), 'version = 2\n');
  box.put(ofK3s.slice(1), '[grpc]\naddress = "/run/k3s/containerd/containerd.sock"\n');
  for (const folder of ['k3s/containerd', 'containerd']) box.put(`run/${folder}/containerd.sock`, '');
  const containerdVersion = async (socket: string) => (socket.includes('/k3s/') ? '2.1.4' : '1.7.27');
  const finder = new RuntimeFinder({
    ...questions,
    files: rootsFiles,
    hostRoot: box.root,
    containerdVersion,
  });
  return async () => {
    const { containerd } = await finder.find();
    return { version: containerd?.version, configFile: containerd?.configFile };
  };
}

test('beside Docker’s containerd that of k3s is the node’s, whichever was started first', async (t) => {
  const box = makeSandbox();
  t.teardown(box.remove);
  const found = await findOfTwo(box);
  t.deepEqual(await found(), { version: '2.1.4', configFile: ofK3s });
});

test('of several containerds the one whose socket the kubelet names is the node’s', async (t) => {
  const box = makeSandbox();
  t.teardown(box.remove);
  const found = await findOfTwo(box);
  run(box, 13, 'kubelet', {
    flags: ['--container-runtime-endpoint=unix:///var/run/containerd/containerd.sock'],
  });
  t.deepEqual(await found(), { version: '1.7.27', configFile: ofDocker });
  run(box, 13, 'kubelet', { flags: ['--container-runtime-endpoint=/run/k3s/containerd/containerd.sock'] });
  t.deepEqual(await found(), { version: '2.1.4', configFile: ofK3s });
  run(box, 13, 'kubelet');
  t.deepEqual(await found(), { version: '1.7.27', configFile: ofDocker }, 'its default');
});

test('a containerd is asked on the socket that it was told of; it is not Docker’s when that is another one', async (t) => {
  const box = makeSandbox();
  t.teardown(box.remove);
  box.put('proc/uptime', '100.00 0');
  run(box, 10, 'dockerd');
  const flags = ['--config=/snap/args/containerd.toml', '--address', '/snap/run/containerd.sock'];
  run(box, 11, 'containerd', { flags });
  box.put('snap/run/containerd.sock', '');
  const asked: string[] = [];
  const containerdVersion = async (socket: string) => {
    asked.push(socket.slice(box.root.length));
    return '2.0.5';
  };
  const finder = new RuntimeFinder({
    ...questions,
    files: rootsFiles,
    hostRoot: box.root,
    containerdVersion,
  });
  const { containerd } = await finder.find();
  t.like(containerd, { running: true, version: '2.0.5', configFile: '/snap/args/containerd.toml' });
  t.deepEqual(asked, ['/snap/run/containerd.sock']);
});
