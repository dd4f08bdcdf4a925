/** config_path, put into a node's configuration by the real applier: containerd reads it and looks where our hosts.toml are, and it goes without a trace. */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { planContainerdConfig, planContainerdConfigRemoval } from '../../src/node/containerd/configure.ts';
import { containerdFolder } from '../containerd/program.ts';
import { type ContainerdRelease, criConfig, startContainerd } from '../support/containerd.ts';
import { pullByCri } from '../support/cri-client.ts';
import { startImageMirror } from '../support/image-mirror.ts';
import { makeImage } from '../support/images.ts';
import { wireContainerd } from '../support/wired-node.ts';
import { apply, openHost, recordedOf, viewOf } from '../unit/node/host.ts';

const image = makeImage({ tag: '1', seed: 'configure', layerSizes: [10_000] });
const file = 'etc/containerd/config.toml';

/** The configuration that the program itself would write down, but for the places that it has on the command line here. */
async function ownDefault(release: ContainerdRelease): Promise<string> {
  const program = release === '1.6' ? 'containerd' : join(await containerdFolder(), 'containerd');
  const text = execFileSync(program, ['config', 'default'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return text.replaceAll(/(root|state|address) = ["']\/(var|run)\/.*/g, '');
}

/** `told`: the release that is planned for, where it is not that of the containerd that reads the result. */
const cases = [
  { name: 'without a file', release: '1.6', text: undefined },
  { name: 'with a small file', release: '1.6', text: criConfig('1.6') },
  {
    name: 'with a file of version 1',
    release: '1.6',
    text: '[plugins.cri.containerd]\n  snapshotter = "native"\n',
  },
  { name: 'with containerd’s own default file', release: '1.6', text: ownDefault },
  { name: 'with containerd’s own default file', release: '2.4', told: '2.1.9', text: ownDefault },
  { name: 'with a file of version 2', release: '2.4', told: '2.1.9', text: criConfig('1.6') },
  { name: 'with a file of version 3', release: '2.4', told: '2.1.9', text: criConfig('2.4') },
] as const;

for (const { name, release, text, ...more } of cases) {
  test.serial(`containerd ${release} ${name} asks the mirror after a restart`, async (t) => {
    // The first time containerd 2 is built.
    t.timeout(600_000);
    const base = fs.mkdtempSync(join(tmpdir(), 'configure-'));
    t.teardown(() => fs.rmSync(base, { recursive: true, force: true }));
    const root = join(base, 'host');
    const before = typeof text === 'function' ? await text(release) : text;
    fs.mkdirSync(join(root, 'etc/containerd'), { recursive: true });
    if (before !== undefined) fs.writeFileSync(join(root, file), before);

    const host = openHost(root, () => ({ sent: [] }));
    const told = 'told' in more ? more.told : '1.6.20';
    const plan = () => {
      const { read, list, records } = viewOf(host);
      const [record] = recordedOf({ read, list, records }, 'containerd-config');
      return { record, read, list: (path: string) => list(path) ?? [] };
    };
    const wiring = planContainerdConfig({ mirror: 'hub', found: true, release: told, ...plan() });
    t.deepEqual(wiring.findings, []);
    t.true(apply(host, wiring.actions).every(({ error }) => error === undefined));

    const mirror = await startImageMirror(t, image);
    const { findings } = wireContainerd(root, join(base, 'state'), {
      mirror: 'hub',
      names: [{ name: 'r.example', upstream: true }],
      endpoint: mirror.url,
      bundle: undefined,
      foreignFiles: 'refuse',
      found: true,
      release: told,
    });
    t.deepEqual(findings, []);
    const { socket, stop } = await startContainerd(t, { release, root });
    await pullByCri(socket, 'r.example/library/app:1');
    t.true(mirror.asked.some((url) => url.includes('/blobs/')));
    await stop();

    const removal = planContainerdConfigRemoval({ leaves: () => true, ...plan() });
    t.true(apply(host, removal.actions).every(({ error }) => error === undefined));
    const after = fs.existsSync(join(root, file)) ? fs.readFileSync(join(root, file), 'utf8') : undefined;
    t.is(after, before);
    t.is(plan().record, undefined);
  });
}
