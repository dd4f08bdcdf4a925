/** `kustomize build` of overlays over deploy/. */
import { execFile } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { dump, loadAll } from 'js-yaml';
import type { KubeObject } from '../kubernetes/api-request.ts';
import { kustomizeProgram } from '../kustomize/program.ts';

const run = promisify(execFile);
export const deployFolder = join(import.meta.dirname, '../../deploy');

/** The names of all components. */
export async function componentNames(): Promise<string[]> {
  return (await readdir(join(deployFolder, 'components'))).sort();
}

/** Builds an overlay over the base with these components, in this order; `more` is added to its kustomization. */
export async function kustomizeBuild(
  components: readonly string[],
  more: object = {},
  from?: string,
): Promise<KubeObject[]> {
  const deploy = from ?? (await wholeDeployFolder());
  const overlay = await mkdtemp(join(tmpdir(), 'overlay-'));
  try {
    const at = (path: string) => relative(overlay, join(deploy, path));
    const kustomization = {
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      resources: [at('base')],
      components: components.map((name) => at(`components/${name}`)),
      ...more,
    };
    await writeFile(join(overlay, 'kustomization.yaml'), dump(kustomization));
    return await kustomize(['build', overlay]);
  } finally {
    await rm(overlay, { recursive: true });
  }
}

/** Runs kustomize and returns the objects it prints; rejects with what it says when it fails. */
export async function kustomize(args: readonly string[], cwd?: string): Promise<KubeObject[]> {
  const program = await kustomizeProgram();
  const { stdout } = await run(program, args, { cwd, maxBuffer: 64 * 2 ** 20 });
  return loadAll(stdout) as KubeObject[];
}

let whole: Promise<string> | undefined;

/** Until the kind RewriteRules is there, component `rewriting` names a file that is not: a copy with a stand-in. */
export function wholeDeployFolder(): Promise<string> {
  whole ??= (async () => {
    const file = 'components/rewriting/rewriterules.k8s.osp.tech.yaml';
    if (existsSync(join(deployFolder, file))) return deployFolder;
    const copy = await mkdtemp(join(tmpdir(), 'deploy-'));
    process.once('exit', () => rmSync(copy, { recursive: true, force: true }));
    await cp(deployFolder, copy, { recursive: true });
    const crd = await readFile(
      join(deployFolder, 'components/rewriting/imagemaps.mapper.imagerelocation.pivotal.io.yaml'),
      'utf8',
    );
    const standIn = crd
      .replaceAll('mapper.imagerelocation.pivotal.io', 'k8s.osp.tech')
      .replaceAll('imagemap', 'rewriterule')
      .replaceAll('ImageMap', 'RewriteRules');
    await writeFile(join(copy, file), standIn);
    return copy;
  })();
  return whole;
}
