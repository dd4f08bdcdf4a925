/** What runtimes that run here say of themselves. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { containerdVersion } from '../../src/node/runtimes/containerd-version.ts';
import { crioVersion } from '../../src/node/runtimes/crio-version.ts';
import { dockerInfo } from '../../src/node/runtimes/docker-info.ts';
import { criConfig, releases, startContainerd } from '../support/containerd.ts';
import { startDockerd } from '../support/dockerd.ts';

for (const release of releases) {
  test(`containerd ${release} tells its release, as itself and over the CRI`, async (t) => {
    // The first time containerd 2 is built.
    t.timeout(600_000);
    const root = fs.mkdtempSync(join(tmpdir(), 'runtime-versions-'));
    t.teardown(() => fs.rmSync(root, { recursive: true, force: true }));
    fs.mkdirSync(join(root, 'etc/containerd'), { recursive: true });
    fs.writeFileSync(join(root, 'etc/containerd/config.toml'), criConfig(release));
    const { ctr, socket } = await startContainerd(t, { release, root });
    const version = await containerdVersion(socket);
    t.true(version?.startsWith(`${release}.`), version);
    t.true((await ctr('default', 'version')).includes(version!));
    t.is(await crioVersion(socket), version);
    t.is(await dockerInfo(socket), undefined);
  });
}

test('dockerd tells its release, and that its images are not containerd’s', async (t) => {
  t.timeout(60_000);
  const etc = fs.mkdtempSync(join(tmpdir(), 'runtime-versions-'));
  t.teardown(() => fs.rmSync(etc, { recursive: true, force: true }));
  const { docker, socket } = await startDockerd(t, etc);
  const info = await dockerInfo(socket);
  const version = (await docker('version', '--format', '{{.Server.Version}}')).trim();
  t.true(version.startsWith(info!.version), version);
  t.is(info!.containerdStore, false);
  t.is(await containerdVersion(socket), undefined);
  t.is(await crioVersion(socket), undefined);
});
