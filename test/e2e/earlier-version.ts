/** The project as it was at an earlier commit: its image and its manifests. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { archiveOf } from '../image/program.ts';

/** The last one whose agents are brought no lists (ADR 19). Until there is a release, it stands for the release before. */
const commit = '523f9eff1ea473e3e4d94458db348ee371a92774';
const repository = join(import.meta.dirname, '../..');
const tag = 'earlier';

export interface EarlierVersion extends Disposable {
  readonly image: string;
  /** An OCI archive. */
  readonly archive: string;
  /** Its deploy/. */
  readonly deploy: string;
}

/** Whether this copy of the repository has that commit; a shallow clone has not. */
export function hasEarlierVersion(): boolean {
  try {
    git('cat-file', '-e', `${commit}^{tree}`);
    return true;
  } catch {
    return false;
  }
}

/** Takes it out of the repository into a folder of its own, and builds its image. */
export async function earlierVersion(): Promise<EarlierVersion> {
  const folder = mkdtempSync(join(tmpdir(), 'earlier-'));
  execFileSync('tar', ['-x', '-C', folder], { input: git('archive', commit) });
  return {
    image: `docker.io/library/registry-mirror-operator:${tag}`,
    archive: await archiveOf(folder, tag),
    deploy: join(folder, 'deploy'),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  };
}

function git(...args: readonly string[]): Buffer {
  return execFileSync('git', ['-C', repository, ...args], {
    maxBuffer: 2 ** 28,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}
