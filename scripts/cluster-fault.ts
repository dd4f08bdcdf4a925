/** Whether a cluster can be started here at once. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { examineMachine, whatIsLacking } from '../test/cluster/requirements.ts';

const builds = ['kubernetes/build-node', 'cluster/programs/build', 'image/build'];

/** What the machine lacks for a cluster, or what is not built yet; undefined where neither is the case. */
export async function clusterFault(): Promise<string | undefined> {
  const lacking = whatIsLacking(await examineMachine(import.meta.dirname));
  if (lacking !== undefined) return lacking;
  for (const build of builds) {
    const file = join(import.meta.dirname, '../test', build);
    const env = { ...process.env, BUILT_ONLY: '1' };
    const failed = await promisify(execFile)(file, [], { env }).then(
      () => undefined,
      ({ stderr }: { stderr: string }) => stderr.trim(),
    );
    if (failed !== undefined) return `${failed} (make e2e)`;
  }
  return undefined;
}
