/** Our reading of containerd's configuration beside Debian's containerd 1.6, which prints what it has in force. */
import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import fc from 'fast-check';
import { parse } from 'smol-toml';
import { listHostFolder, readHostPath } from '../../src/node/apply.ts';
import { readConfigs } from '../../src/node/containerd/config.ts';

const run = promisify(execFile);

const folder = '/etc/containerd';
const names = ['config.toml', 'a.toml', 'conf.d/b.toml', 'conf.d/.c.toml'];
const cri = 'plugins."io.containerd.grpc.v1.cri"';

const documents = fc.record({
  version: fc.constantFrom('', 'version = 1\n', 'version = 2\n', 'version = 2\n'),
  imports: fc.subarray(
    [
      'a.toml',
      '*.toml',
      'conf.d/../a.toml',
      `${folder}/conf.d/*.toml`,
      `${folder}/c*.[d]/?c.t*`,
      'config.toml',
    ],
    {
      maxLength: 2,
    },
  ),
  tables: fc.subarray([
    `[${cri}.registry]\nconfig_path = "PATH"\n`,
    `[${cri}]\nsandbox_image = "pause"\n`,
    '[plugins.cri.registry]\nconfig_path = "PATH/short"\n',
    '[plugins."io.containerd.internal.v1.opt"]\npath = "/opt"\n',
    `[${cri}.registry.configs.a.auth]\nusername = "u"\n`,
  ]),
});

test('config_path is what containerd itself has in force, for any files that it starts with', async (t) => {
  let started = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(documents, { minLength: 1, maxLength: names.length }), async (files) => {
      const root = fs.mkdtempSync(join(tmpdir(), 'containerd-config-'));
      try {
        fs.mkdirSync(join(root, folder, 'conf.d'), { recursive: true });
        files.forEach((file, at) => {
          // Absolute imports are the host's for us and this machine's for containerd.
          const text = `${file.version}imports = ${JSON.stringify(file.imports)}\n${file.tables.join('').replaceAll('PATH', `/${at}`)}`;
          fs.writeFileSync(join(root, folder, names[at]!), text);
        });
        const expected = await effective(root);
        if (expected === undefined) return;
        started += 1;
        const host = { files: fs, root };
        const { configs } = readConfigs(
          { read: (path) => readHostPath(host, path), list: (path) => listHostFolder(host, path) ?? [] },
          '1.6.20',
        );
        t.is(configs[0]?.configPath ?? '', expected);
      } finally {
        fs.rmSync(root, { recursive: true, force: true });
      }
    }),
    { numRuns: 60, endOnFailure: true },
  );
  t.true(started > 10);
});

/** In a mount namespace where the folder is the machine's own; undefined where containerd does not start. */
async function effective(root: string): Promise<string | undefined> {
  const script = `mount --bind '${root}${folder}' ${folder} && cd / && exec containerd --config ${folder}/config.toml config dump`;
  try {
    const { stdout } = await run('unshare', ['--mount', 'sh', '-c', script]);
    const { plugins } = parse(stdout) as { plugins: Record<string, { registry: { config_path: string } }> };
    return plugins['io.containerd.grpc.v1.cri']!.registry.config_path;
  } catch (error) {
    if (String(error).includes('failed to load TOML')) return undefined;
    throw error;
  }
}
