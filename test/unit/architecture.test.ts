import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Which folders of src a folder may import (besides itself). `type` marks what may be imported as types only. */
const allowed: Record<string, readonly string[]> = {
  cli: [
    'cli',
    'config',
    'api',
    'image',
    'registry',
    'kube',
    'operator',
    'rewriting',
    'admission',
    'resources',
    'cache',
    'node',
    'standalone',
    'observe',
  ],
  operator: ['rewriting', 'resources', 'kube', 'api', 'image', 'cache', 'observe'],
  admission: ['rewriting', 'image', 'kube', 'api', 'observe'],
  rewriting: ['image', 'kube', 'api', 'observe'],
  resources: ['api', 'cache/ports.ts', 'cache/render.ts'],
  cache: ['registry', 'image', 'api', 'observe'],
  node: [
    'api',
    'image',
    'observe',
    'cache/render.ts',
    'cache/nginx-process.ts',
    'cache/child.ts',
    'cache/pause.ts',
    'cache/broker/metrics/log-follower.ts',
  ],
  registry: ['image', 'observe'],
  kube: ['type:api', 'observe'],
  standalone: ['api', 'cache', 'observe', 'config/problems.ts'],
  config: ['api', 'image', 'observe', 'node'],
  image: [],
  api: [],
  observe: [],
};

/** Values of these packages stay in these places; types may go anywhere. */
const fences: Record<string, readonly string[]> = {
  '@kubernetes/client-node': ['kube/'],
  handlebars: ['cache/render.ts'],
  undici: ['kube/', 'registry/', 'cache/broker/'],
  commander: ['cli/', 'main.ts'],
  'smol-toml': ['node/'],
  ava: [],
};

interface Import {
  readonly file: string;
  readonly target: string;
  readonly typeOnly: boolean;
}

async function imports(): Promise<Import[]> {
  const files = (await readdir(join(root, 'src'), { recursive: true })).filter((file) =>
    file.endsWith('.ts'),
  );
  const found = await Promise.all(
    files.map(async (file) => {
      const text = await readFile(join(root, 'src', file), 'utf8');
      const pattern = /(?:^(import|export)( type)? [^;]*?from |\bimport\()'([^']+)'/gms;
      return [...text.matchAll(pattern)].map(([, , type, target = '']) => ({
        file,
        target,
        typeOnly: type !== undefined,
      }));
    }),
  );
  return found.flat();
}

function own({ file, target }: Import): string {
  return relative(join(root, 'src'), join(root, 'src', dirname(file), target));
}

test('folders import only whom the design lets them', async (t) => {
  const broken = (await imports())
    .filter(({ target }) => target.startsWith('.'))
    .filter((found) => {
      const [from = '', to = own(found)] = [found.file.split('/')[0], own(found)];
      const rules = allowed[from];
      if (rules === undefined || to.startsWith(`${from}/`)) return false;
      return !rules.some((rule) => {
        const [name = '', typed] = rule.startsWith('type:') ? [rule.slice(5), true] : [rule, false];
        return (to === name || to.startsWith(`${name}/`)) && (!typed || found.typeOnly);
      });
    });
  t.deepEqual(
    broken.map((found) => `${found.file} -> ${own(found)}`),
    [],
  );
});

test('every folder of src has a rule', async (t) => {
  const folders = (await readdir(join(root, 'src'), { withFileTypes: true })).filter((entry) =>
    entry.isDirectory(),
  );
  t.deepEqual(
    folders.map(({ name }) => name).filter((name) => allowed[name] === undefined),
    [],
  );
});

test('third-party packages stay behind their fences', async (t) => {
  const broken = (await imports()).filter(
    ({ file, target, typeOnly }) =>
      !typeOnly && fences[target] !== undefined && !fences[target].some((place) => file.startsWith(place)),
  );
  t.deepEqual(
    broken.map(({ file, target }) => `${file} -> ${target}`),
    [],
  );
});

test('only src/config reads the environment', async (t) => {
  const files = (await readdir(join(root, 'src'), { recursive: true })).filter((file) =>
    file.endsWith('.ts'),
  );
  const readers = await Promise.all(
    files.map(async (file) =>
      (await readFile(join(root, 'src', file), 'utf8')).includes('process.env') ? [file] : [],
    ),
  );
  t.deepEqual(
    readers.flat().filter((file) => !file.startsWith('config/')),
    [],
  );
});
