import * as fs from 'node:fs';
import test from 'ava';
import { RuntimeFinder } from '../../../src/node/runtimes/find-runtimes.ts';
import { makeSandbox } from './sandbox.ts';

const silent = async () => undefined;
const questions = { containerdVersion: silent, crioVersion: silent, dockerInfo: silent };

test('each look reads the name of every process once, whatever it looks for', async (t) => {
  const box = makeSandbox();
  t.teardown(box.remove);
  box.put('proc/uptime', '100.00 0');
  for (const [pid, name] of [
    [10, 'dockerd'],
    [11, 'containerd'],
    [12, 'sh'],
  ] as const) {
    box.put(`proc/${pid}/comm`, `${name}\n`);
    box.put(`proc/${pid}/stat`, `${pid} (${name}) S 1 ${'0 '.repeat(17)}5000 0`);
    box.put(`proc/${pid}/cmdline`, `/usr/bin/${name}\0`);
  }
  box.put('etc/containerd/config.toml', '');
  const read: string[] = [];
  const files = new Proxy(fs, {
    get: (real, name: keyof typeof fs) => {
      if (name === 'lstatSync') return (path: string) => Object.assign(fs.lstatSync(path), { uid: 0 });
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
