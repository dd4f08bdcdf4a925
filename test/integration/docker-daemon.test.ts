/** dockerd with the daemon.json of a node: told by a signal, it asks the mirror for docker.io, and after the removal it does not. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { daemonFile, planDockerDaemon, planDockerDaemonRemoval } from '../../src/node/docker-daemon.ts';
import { findProcesses, sendSignal } from '../../src/node/signal.ts';
import { startDockerd } from '../support/dockerd.ts';
import { eventually } from '../support/eventually.ts';
import { startImageServer } from '../support/image-server.ts';
import { makeImage } from '../support/images.ts';
import { apply, openHost, recordedOf, viewOf } from '../unit/node/host.ts';

const image = makeImage({ tag: '1', seed: 'docker-daemon', layerSizes: [100_000] });
const configurations = {
  'a mirror': {
    before: '{\n    "debug": false,\n    "registry-mirrors": [ "http://127.0.0.1:9" ]\n}',
    has: ['http://127.0.0.1:9/'],
  },
  null: { before: '{ "registry-mirrors": null }\n', has: [] },
};

for (const [title, { before, has }] of Object.entries(configurations))
  test(`a running dockerd whose mirrors were ${title} asks ours from the signal on, and the removal takes that back`, async (t) => {
    t.timeout(60_000);
    const dir = fs.mkdtempSync(join(tmpdir(), 'dockerd-'));
    t.teardown(() => fs.rmSync(dir, { recursive: true, force: true }));
    const root = join(dir, 'host');
    const file = join(root, daemonFile);
    fs.mkdirSync(join(root, 'etc/docker'), { recursive: true });
    fs.writeFileSync(file, before);
    const mirror = await startImageServer(t, image);
    const { pid, docker, mirrors } = await startDockerd(t, join(root, 'etc/docker'));
    const tools = {
      // Of an age at which it is signalled; of all that run here only this one.
      files: {
        ...fs,
        readFileSync: ((path: string) =>
          path === '/proc/uptime' ? '1e9' : fs.readFileSync(path, 'utf8')) as never,
      },
      procFolder: '/proc',
      kill: (each: number, signal: NodeJS.Signals) => void (each === pid && process.kill(each, signal)),
      uid: 0,
    };
    const host = openHost(root, (name, signal) => sendSignal(name, signal, tools));
    const record = () => recordedOf(viewOf(host), 'docker-daemon')[0];
    const url = `http://${mirror.host}`;
    const commandLine = findProcesses('dockerd', tools).find((each) => each.pid === pid)!.commandLine;
    const { actions, findings } = planDockerDaemon({
      mirror: 'hub',
      url,
      commandLine,
      record: undefined,
      read: viewOf(host).read,
    });
    t.deepEqual(findings, []);
    t.true(apply(host, actions).every(({ error }) => error === undefined));
    await eventually(async () => assert.deepEqual(await mirrors(), [`${url}/`, ...has]));
    await docker('pull', 'docker.io/library/app:1');
    t.true(mirror.asked().some((path) => path.startsWith('/v2/library/app/blobs/')));
    // As a pass goes on once dockerd was told.
    while (record() !== undefined) {
      const removal = planDockerDaemonRemoval({
        leaves: () => true,
        record: record(),
        read: viewOf(host).read,
      });
      t.true(apply(host, removal.actions).every(({ error }) => error === undefined));
      await eventually(async () => assert.deepEqual(await mirrors(), has));
    }
    t.is(fs.readFileSync(file, 'utf8'), before);
    t.deepEqual(await mirrors(), has);
  });
