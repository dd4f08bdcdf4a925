/** `helm` on the chart of deploy/. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { loadAll } from 'js-yaml';
import { helmProgram } from '../helm/program.ts';
import type { KubeObject } from '../kubernetes/api-request.ts';

const run = promisify(execFile);
let program: Promise<string> | undefined;
export const chartFolder = join(import.meta.dirname, '../../deploy/chart');

export interface HelmResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs helm with folders of its own and without any other environment; resolves however it ends. */
export async function helm(args: readonly string[], env: Record<string, string> = {}): Promise<HelmResult> {
  program ??= helmProgram();
  const home = await mkdtemp(join(tmpdir(), 'helm-'));
  try {
    const options = {
      env: { PATH: process.env['PATH'], HOME: home, KUBECONFIG: join(home, 'none'), ...env },
      maxBuffer: 64 * 2 ** 20,
    };
    const { stdout, stderr } = await run(await program, args, options);
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as HelmResult;
    if (typeof code !== 'number') throw error;
    return { code, stdout, stderr };
  } finally {
    await rm(home, { recursive: true });
  }
}

/** Writes values to a file for `--values`, uses it and removes it. */
export async function withValues<T>(values: object, use: (file: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'values-'));
  try {
    const file = join(folder, 'values.json');
    await writeFile(file, JSON.stringify(values));
    return await use(file);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Renders the chart. Rejects with what helm says when it does not take the values, and where a key is there twice. */
export async function helmTemplate(
  values: object = {},
  namespace = 'default',
  chart = chartFolder,
): Promise<KubeObject[]> {
  const { code, stdout, stderr } = await withValues(values, (file) =>
    helm(['template', 'mirrors', chart, '--namespace', namespace, '--values', file]),
  );
  if (code !== 0) throw new Error(stderr);
  return (loadAll(stdout) as (KubeObject | null)[]).filter((object) => object !== null);
}
