/** One run: a fresh API server, the operator, so many mirrors, an idle time, a restart. */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Guardian } from '../../test/kubernetes/guardian.ts';
import { type ControlPlane, startControlPlane } from '../../test/support/control-plane.ts';
import { type Figures, operatorUser } from './figures.ts';
import { namespace } from './mirrors.ts';
import type { OperatorCommand } from './operator-process.ts';
import { Stage, type StageOptions } from './stage.ts';

export interface RunOptions extends StageOptions {
  executable: string;
  /** The CRD's file. */
  crd: string;
  /** The operator's PATH; nothing else of our environment reaches it. */
  path: string;
}

/** Measures once; everything it started has ended when it returns or throws. */
export async function run(options: RunOptions): Promise<Figures & { script: string }> {
  await using cleanup = new AsyncDisposableStack();
  const plane = await startControlPlane({ signal: options.signal });
  cleanup.defer(() => plane.stop());
  await plane.applyCrd(options.crd);
  const folder = await mkdtemp(join(tmpdir(), 'bench-reconcile-'));
  const guardian = new Guardian(folder);
  cleanup.defer(() => guardian.release());
  const stage = new Stage(options, plane, guardian, await commandFor(options, plane, folder));
  cleanup.defer(() => stage.close());
  return await stage.play();
}

/** An ordinary user: members of system:masters would not be subject to the API server's flow control. */
async function commandFor(
  options: RunOptions,
  plane: ControlPlane,
  folder: string,
): Promise<OperatorCommand> {
  await plane.grant({ kind: 'User', name: operatorUser }, [
    { apiGroups: ['*'], resources: ['*'], verbs: ['*'] },
  ]);
  const environment = {
    PATH: options.path,
    KUBECONFIG: await plane.kubeconfigFor({ user: operatorUser }),
    NAMESPACE: namespace,
    OPERATOR_IMAGE: 'registry.example.test/registry-mirror-operator:bench',
    HTTP_PORT: '0',
  };
  return { executable: options.executable, environment, logFile: join(folder, 'operator.log') };
}
