/** Our reading of containerd's configuration beside containerd 1.6 and 2.4 themselves, which print what they have in force. */
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
import { containerdFolder } from '../containerd/program.ts';
import { type ContainerdRelease, releases } from '../support/containerd.ts';

const run = promisify(execFile);

const folder = '/etc/containerd';
const names = ['config.toml', 'a.toml', 'conf.d/b.toml', 'conf.d/.c.toml'];
const grpcCri = 'io.containerd.grpc.v1.cri';
const criImages = 'io.containerd.cri.v1.images';

const versions: Record<ContainerdRelease, readonly string[]> = {
  '1.6': ['', 'version = 1\n', 'version = 2\n', 'version = 2\n'],
  '2.4': ['', 'version = 2\n', 'version = 3\n', 'version = 3\n', 'version = 4\n'],
};

interface File {
  readonly version: string;
  readonly imports: readonly string[];
  readonly tables: readonly string[];
}

function documents(release: ContainerdRelease): fc.Arbitrary<File> {
  const files = fc.record({
    version: fc.constantFrom(...versions[release]),
    imports: fc.subarray(
      [
        'a.toml',
        '*.toml',
        'conf.d/../a.toml',
        `${folder}/conf.d/*.toml`,
        `${folder}/c*.[d]/?c.t*`,
        'config.toml',
      ],
      { maxLength: 2 },
    ),
    tables: fc.subarray([
      `[plugins."${grpcCri}".registry]\nconfig_path = "PATH"\n`,
      `[plugins."${grpcCri}"]\nsandbox_image = "pause"\n`,
      ...(release === '1.6' ? [] : [`[plugins."${criImages}".registry]\nconfig_path = "PATH/images"\n`]),
      '[plugins.cri.registry]\nconfig_path = "PATH/short"\n',
      '[plugins."io.containerd.internal.v1.opt"]\npath = "/opt"\n',
      `[plugins."${grpcCri}".registry.configs.a.auth]\nusername = "u"\n`,
    ]),
  });
  return files.filter((file) => release === '1.6' || !isAmbiguous(file));
}

/** containerd 2 gives both names of the plugin in a file of version 1 one name, in the random order of a Go map. */
function isAmbiguous({ version, tables }: File): boolean {
  const names = ['plugins.cri.', `plugins."${grpcCri}"`];
  const isOld = version === '' || version === 'version = 1\n';
  return isOld && names.every((name) => tables.some((table) => table.includes(name)));
}

for (const release of releases) {
  test(`config_path is what containerd itself has in force, for any files that it starts with (${release})`, async (t) => {
    // The first time containerd 2 is built.
    t.timeout(600_000);
    const program = release === '1.6' ? 'containerd' : join(await containerdFolder(), 'containerd');
    let started = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(documents(release), { minLength: 1, maxLength: names.length }),
        async (files) => {
          const root = fs.mkdtempSync(join(tmpdir(), 'containerd-config-'));
          try {
            fs.mkdirSync(join(root, folder, 'conf.d'), { recursive: true });
            files.forEach((file, at) => {
              // Absolute imports are the host's for us and this machine's for containerd.
              const text = `${file.version}imports = ${JSON.stringify(file.imports)}\n${file.tables.join('').replaceAll('PATH', `/${at}`)}`;
              fs.writeFileSync(join(root, folder, names[at]!), text);
            });
            const expected = await effective(program, root);
            if (expected === undefined) return;
            const host = { files: fs, root };
            const { configs, findings } = readConfigs(
              { read: (path) => readHostPath(host, path), list: (path) => listHostFolder(host, path) ?? [] },
              `${release}.0`,
            );
            // It does not start, but 2.4 prints what it had read until then.
            if (findings.some(({ reason }) => reason === 'MissingImport')) return;
            started += 1;
            t.is(configs[0]?.configPath ?? '', expected);
          } finally {
            fs.rmSync(root, { recursive: true, force: true });
          }
        },
      ),
      { numRuns: 60, endOnFailure: true },
    );
    t.true(started > 10);
  });
}

/** In a mount namespace where the folder is the machine's own; undefined where containerd does not start. */
async function effective(program: string, root: string): Promise<string | undefined> {
  const script = `mount --bind '${root}${folder}' ${folder} && cd / && exec '${program}' --config ${folder}/config.toml config dump`;
  try {
    const { stdout } = await run('unshare', ['--mount', 'sh', '-c', script]);
    const { plugins } = parse(stdout) as { plugins: Record<string, { registry: { config_path: string } }> };
    return (plugins[criImages] ?? plugins[grpcCri])!.registry.config_path;
  } catch (error) {
    if (String(error).includes('failed to load TOML')) return undefined;
    throw error;
  }
}
